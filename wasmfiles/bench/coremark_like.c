// What small embedded programs do: a linked list that is sorted and reversed, a
// matrix of short integers, a state machine over text, and a CRC over all
// results. n rounds.
#include "common.h"

enum { ITEMS = 64, SIZE = 10 };

struct item {
  struct item *next;
  int16_t key;
  int16_t value;
};

static uint16_t crc16(uint16_t crc, uint16_t data) {
  for (int bit = 0; bit < 16; ++bit, data >>= 1) {
    const int carry = (crc ^ data) & 1;
    crc >>= 1;
    if (carry) crc ^= 0xa001;
  }
  return crc;
}

// The list.

static struct item items[ITEMS];

static struct item *make_list(uint64_t *numbers) {
  for (int i = 0; i < ITEMS; ++i) {
    items[i].next = i + 1 < ITEMS ? &items[i + 1] : 0;
    items[i].key = (int16_t)number_below(numbers, 1000);
    items[i].value = (int16_t)i;
  }
  return items;
}

static struct item *reverse(struct item *list) {
  struct item *reversed = 0;
  while (list) {
    struct item *next = list->next;
    list->next = reversed;
    reversed = list;
    list = next;
  }
  return reversed;
}

static struct item *merge(struct item *a, struct item *b) {
  struct item *merged = 0, **end = &merged;
  while (a && b) {
    struct item **less = b->key < a->key ? &b : &a;
    *end = *less;
    end = &(*less)->next;
    *less = *end;
  }
  *end = a ? a : b;
  return merged;
}

static struct item *sort(struct item *list) {
  if (!list || !list->next) return list;
  struct item *middle = list;
  for (struct item *end = list->next; end && end->next; end = end->next->next) middle = middle->next;
  struct item *half = middle->next;
  middle->next = 0;
  return merge(sort(list), sort(half));
}

static uint16_t list_round(uint64_t *numbers, uint16_t crc) {
  struct item *list = reverse(make_list(numbers));
  for (int wanted = 0; wanted < ITEMS; wanted += 8) {
    const struct item *found = list;
    while (found && found->value != wanted) found = found->next;
    crc = crc16(crc, found ? (uint16_t)found->key : 0);
  }
  for (const struct item *item = sort(list); item; item = item->next) crc = crc16(crc, (uint16_t)item->value);
  return crc;
}

// The matrix.

static uint16_t matrix_round(uint64_t *numbers, uint16_t crc) {
  static int16_t a[SIZE][SIZE], b[SIZE][SIZE];
  static int32_t product[SIZE][SIZE];
  for (int i = 0; i < SIZE; ++i)
    for (int j = 0; j < SIZE; ++j) {
      a[i][j] = (int16_t)number_below(numbers, 256);
      b[i][j] = (int16_t)(a[i][j] + j);
    }
  for (int i = 0; i < SIZE; ++i)
    for (int j = 0; j < SIZE; ++j) {
      int32_t sum = 0;
      for (int k = 0; k < SIZE; ++k) {
        const int32_t term = a[i][k] * b[k][j];
        sum += (term >> 2 & 15) * (term >> 5 & 127);
      }
      product[i][j] = sum;
    }
  for (int i = 0; i < SIZE; ++i) crc = crc16(crc, (uint16_t)product[i][(i * 7) % SIZE]);
  return crc;
}

// The state machine: what kind of number is each word?

enum state { START, SIGN, INTEGER, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, SCIENTIFIC, INVALID, STATES };

static int digit(char c) { return c >= '0' && c <= '9'; }

static enum state step(enum state state, char c) {
  switch (state) {
    case START: return digit(c) ? INTEGER : c == '+' || c == '-' ? SIGN : c == '.' ? POINT : INVALID;
    case SIGN: return digit(c) ? INTEGER : c == '.' ? POINT : INVALID;
    case INTEGER: return digit(c) ? INTEGER : c == '.' ? POINT : c == 'e' ? EXPONENT : INVALID;
    case POINT: return digit(c) ? FRACTION : INVALID;
    case FRACTION: return digit(c) ? FRACTION : c == 'e' ? EXPONENT : INVALID;
    case EXPONENT: return digit(c) ? SCIENTIFIC : c == '+' || c == '-' ? EXPONENT_SIGN : INVALID;
    case EXPONENT_SIGN: return digit(c) ? SCIENTIFIC : INVALID;
    case SCIENTIFIC: return digit(c) ? SCIENTIFIC : INVALID;
    default: return INVALID;
  }
}

static uint16_t state_round(uint64_t *numbers, uint16_t crc) {
  static const char *const words[] = {"5012", "-874", "+.25", "35.54e4", "-110.70", "1e-12x", ".1.2", "+8e+7", "T0.3e-1F"};
  uint16_t ended[STATES] = {0}, visited[STATES] = {0};
  for (int word = 0; word < 48; ++word) {
    enum state state = START;
    for (const char *c = words[number_below(numbers, sizeof words / sizeof *words)]; *c; ++c) {
      state = step(state, *c);
      ++visited[state];
    }
    ++ended[state];
  }
  for (int state = 0; state < STATES; ++state) crc = crc16(crc16(crc, ended[state]), visited[state]);
  return crc;
}

RUN {
  uint64_t numbers = 4, sum = 0;
  uint16_t crc = 0;
  for (int32_t round = 0; round < n; ++round) {
    crc = list_round(&numbers, crc);
    crc = matrix_round(&numbers, crc);
    crc = state_round(&numbers, crc);
    sum = mix(sum, crc);
  }
  return (int64_t)sum;
}

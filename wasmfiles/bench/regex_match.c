// Regular expressions compiled to a program for a set of threads that advance
// over the text together (Thompson's construction): lists of small integers,
// recursion, a dense switch. n lines are searched with each of five expressions.
#include <string.h>

#include "common.h"

enum { MAX_CODE = 128, LINE = 80 };

enum op { ONE, ANY, CLASS, SPLIT, JUMP, MATCH };

struct instruction {
  enum op op;
  uint8_t byte;
  uint8_t target, other;
  uint32_t set[8];
};

struct program {
  struct instruction code[MAX_CODE];
  int length;
};

// Compilation: each function appends the code of what it read.

static const char *pattern;

static struct instruction *append(struct program *p, enum op op) {
  struct instruction *instruction = &p->code[p->length++];
  memset(instruction, 0, sizeof *instruction);
  instruction->op = op;
  return instruction;
}

static void insert(struct program *p, int at, enum op op, int target, int other) {
  for (int i = at; i < p->length; ++i) {
    // What moves is one item or alternative, and its jumps stay within it.
    ++p->code[i].target;
    ++p->code[i].other;
  }
  memmove(&p->code[at + 1], &p->code[at], sizeof *p->code * (size_t)(p->length - at));
  ++p->length;
  p->code[at].op = op;
  p->code[at].target = (uint8_t)target;
  p->code[at].other = (uint8_t)other;
}

static void alternatives(struct program *p);

static void add_to_set(struct instruction *class, int first, int last) {
  for (int byte = first; byte <= last; ++byte) class->set[byte / 32] |= 1u << byte % 32;
}

static void class(struct program *p) {
  struct instruction *class = append(p, CLASS);
  const int negated = *pattern == '^';
  if (negated) ++pattern;
  while (*pattern != ']') {
    const int range = pattern[1] == '-';
    add_to_set(class, pattern[0], pattern[range ? 2 : 0]);
    pattern += range ? 3 : 1;
  }
  ++pattern;
  for (int i = 0; negated && i < 8; ++i) class->set[i] = ~class->set[i];
}

static void atom(struct program *p) {
  const char c = *pattern++;
  if (c == '(') {
    alternatives(p);
    ++pattern;
  } else if (c == '[') {
    class(p);
  } else if (c == '.') {
    append(p, ANY);
  } else {
    append(p, ONE)->byte = (uint8_t)c;
  }
}

static void repeated(struct program *p) {
  const int start = p->length;
  atom(p);
  switch (*pattern) {
    case '*':
      ++pattern;
      insert(p, start, SPLIT, start + 1, p->length + 2);
      append(p, JUMP)->target = (uint8_t)start;
      break;
    case '+': {
      ++pattern;
      struct instruction *split = append(p, SPLIT);
      split->target = (uint8_t)start;
      split->other = (uint8_t)p->length;
      break;
    }
    case '?':
      ++pattern;
      insert(p, start, SPLIT, start + 1, p->length + 1);
      break;
    default:
      break;
  }
}

static void alternatives(struct program *p) {
  const int start = p->length;
  while (*pattern && *pattern != '|' && *pattern != ')') repeated(p);
  if (*pattern != '|') return;
  ++pattern;
  insert(p, start, SPLIT, start + 1, p->length + 2);
  const int jump = p->length;
  append(p, JUMP);
  alternatives(p);
  p->code[jump].target = (uint8_t)p->length;
}

static void compile(struct program *p, const char *text) {
  p->length = 0;
  pattern = text;
  alternatives(p);
  append(p, MATCH);
}

// Matching.

struct threads {
  uint8_t at[MAX_CODE];
  int count;
};

// The step at which an instruction was last added to a list.
static uint32_t added[MAX_CODE], now;

static void add_thread(const struct program *p, struct threads *threads, int at) {
  if (added[at] == now) return;
  added[at] = now;
  const struct instruction *i = &p->code[at];
  if (i->op == JUMP) {
    add_thread(p, threads, i->target);
  } else if (i->op == SPLIT) {
    add_thread(p, threads, i->target);
    add_thread(p, threads, i->other);
  } else {
    threads->at[threads->count++] = (uint8_t)at;
  }
}

// End of the first match to end, or 0.
static int search(const struct program *p, const uint8_t *text) {
  struct threads lists[2], *current = &lists[0], *next = &lists[1];
  current->count = 0;
  ++now;
  for (int at = 0;; ++at) {
    add_thread(p, current, 0);
    next->count = 0;
    ++now;
    const uint8_t c = text[at];
    for (int thread = 0; thread < current->count; ++thread) {
      const int pc = current->at[thread];
      const struct instruction *i = &p->code[pc];
      int goes_on = 0;
      switch (i->op) {
        case ONE: goes_on = i->byte == c; break;
        case ANY: goes_on = c != 0; break;
        case CLASS: goes_on = c != 0 && i->set[c / 32] >> c % 32 & 1; break;
        case MATCH: return at;
        default: break;
      }
      if (goes_on) add_thread(p, next, pc + 1);
    }
    if (!c) return 0;
    struct threads *swapped = current;
    current = next;
    next = swapped;
  }
}

static const char *const expressions[] = {
    "[a-e]+x[0-9]", "(ab|ba)+c?d", "z.*[^a-y ]z.q", "([0-9][0-9]?,)+[0-9]", "(foo|bar|[k-m]k*l)(e|o)u",
};
enum { EXPRESSIONS = sizeof expressions / sizeof *expressions };

RUN {
  static struct program programs[EXPRESSIONS];
  static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz  0123,,aabbddkkeo";
  for (int i = 0; i < EXPRESSIONS; ++i) compile(&programs[i], expressions[i]);
  memset(added, 0, sizeof added);
  now = 0;
  uint64_t numbers = 6, sum = 0;
  uint8_t line[LINE + 1] = {0};
  for (int32_t round = 0; round < n; ++round) {
    for (int i = 0; i < LINE; ++i) line[i] = (uint8_t)alphabet[number_below(&numbers, sizeof alphabet - 1)];
    for (int i = 0; i < EXPRESSIONS; ++i) sum = mix(sum, (uint64_t)search(&programs[i], line));
  }
  return (int64_t)sum;
}

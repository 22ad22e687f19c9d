// Memory moved about: memory.copy and memory.fill of all sizes, overlapping
// moves, and loops that handle one byte at a time. n rounds over 16 KiB.
#include <string.h>

#include "common.h"

enum { SIZE = 16 << 10, PIECES = 64 };

static uint8_t source[SIZE], target[SIZE];

// Of lengths that are mostly small, as those of most programs are.
static uint32_t length(uint64_t *numbers) {
  return number_below(numbers, 1u << (1 + number_below(numbers, 10)));
}

static void copy_pieces(uint64_t *numbers) {
  for (int i = 0; i < PIECES; ++i) {
    const uint32_t size = length(numbers);
    const uint32_t from = number_below(numbers, SIZE - size), to = number_below(numbers, SIZE - size);
    switch (i % 3) {
      case 0: memcpy(target + to, source + from, size); break;
      case 1: memmove(target + to, target + from, size); break;
      default: memset(target + to, (int)(from & 0xff), size); break;
    }
  }
}

// Backwards, every other byte changed: no library function does this.
static void turn_bytes(void) {
  for (int i = 0; i < SIZE / 8; ++i) source[i] = target[SIZE - 1 - i] ^ (uint8_t)(i & 1 ? i : 0);
}

static int count_equal(void) {
  int count = 0;
  for (int i = 0; i < SIZE / 8; ++i) count += source[i] == target[i];
  return count;
}

static uint64_t word(const uint8_t *bytes) {
  uint64_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}

RUN {
  uint64_t numbers = 9, sum = 0;
  for (int i = 0; i < SIZE; ++i) source[i] = (uint8_t)(i * 7 >> 3);
  memset(target, 1, SIZE);
  for (int32_t round = 0; round < n; ++round) {
    copy_pieces(&numbers);
    turn_bytes();
    sum = mix(sum, (uint64_t)count_equal());
    memcpy(source + SIZE / 2, target, SIZE / 2);
  }
  for (int i = 0; i < SIZE; i += 8) sum = mix(mix(sum, word(source + i)), word(target + i));
  return (int64_t)sum;
}

// Heap sort of 4,096 numbers in a memory with 64-bit addresses. n rounds.
#include "../common.h"

#define COUNT 4096
static uint32_t numbers[COUNT];

static void sift(int64_t root, int64_t end) {
  for (;;) {
    int64_t child = 2 * root + 1;
    if (child >= end) return;
    if (child + 1 < end && numbers[child] < numbers[child + 1]) ++child;
    if (numbers[root] >= numbers[child]) return;
    const uint32_t swapped = numbers[root];
    numbers[root] = numbers[child];
    numbers[child] = swapped;
    root = child;
  }
}

RUN {
  uint64_t state = 88172645463325252, sum = 0;
  for (int32_t round = 0; round < n; ++round) {
    for (int64_t i = 0; i < COUNT; ++i) numbers[i] = (uint32_t)next_number(&state);
    for (int64_t root = COUNT / 2; root-- > 0;) sift(root, COUNT);
    for (int64_t end = COUNT; end-- > 1;) {
      const uint32_t greatest = numbers[0];
      numbers[0] = numbers[end];
      numbers[end] = greatest;
      sift(0, end);
    }
    sum = mix(sum, numbers[round & (COUNT - 1)]);
  }
  return (int64_t)sum;
}

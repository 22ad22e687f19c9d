// Fibonacci numbers by plain recursion: calls and little else. n rounds of
// fib(15) to fib(18).
#include "common.h"

// Without the attributes the compiler makes a loop of one of the two calls.
__attribute__((noinline, disable_tail_calls)) static uint32_t fib(uint32_t i) {
  return i < 2 ? i : fib(i - 1) + fib(i - 2);
}

RUN {
  uint64_t sum = 0;
  for (int32_t round = 0; round < n; ++round) sum = mix(sum, fib(15 + (round & 3)));
  return (int64_t)sum;
}

// What the C and C++ programs share: the export, a source of numbers and a
// checksum, both as in common.rs.
#ifndef COMMON_H
#define COMMON_H

#include <stdint.h>

#ifdef __cplusplus
#define RUN extern "C" __attribute__((export_name("run"))) int64_t run(int32_t n)
#else
#define RUN __attribute__((export_name("run"))) int64_t run(int32_t n)
#endif

RUN;

static inline uint64_t next_number(uint64_t *state) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * 0x2545f4914f6cdd1d;
}

// Less than bound, which is small.
static inline uint32_t number_below(uint64_t *state, uint32_t bound) {
  return (uint32_t)(((next_number(state) >> 32) * bound) >> 32);
}

static inline uint64_t mix(uint64_t sum, uint64_t value) {
  const uint64_t product = (sum ^ value) * 0x9e3779b97f4a7c15;
  return product << 29 | product >> 35;
}

#endif

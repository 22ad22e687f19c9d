// Products of 32 by 32 matrices of f32, four columns at a time. n rounds.
#include <wasm_simd128.h>

#include "../common.h"

#define SIDE 32
static float a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];

RUN {
  uint64_t state = 88172645463325252, sum = 0;
  for (int32_t i = 0; i < SIDE; ++i)
    for (int32_t j = 0; j < SIDE; ++j) {
      a[i][j] = (float)number_below(&state, 1000) / 1000;
      b[i][j] = (float)number_below(&state, 1000) / 1000;
    }
  for (int32_t round = 0; round < n; ++round) {
    for (int32_t i = 0; i < SIDE; ++i)
      for (int32_t j = 0; j < SIDE; j += 4) {
        v128_t total = wasm_f32x4_splat(0);
        for (int32_t k = 0; k < SIDE; ++k)
          total = wasm_f32x4_add(total, wasm_f32x4_mul(wasm_f32x4_splat(a[i][k]), wasm_v128_load(&b[k][j])));
        wasm_v128_store(&c[i][j], total);
      }
    a[round & (SIDE - 1)][(round >> 5) & (SIDE - 1)] = c[3][round & (SIDE - 1)] / 16;
    sum = mix(sum, (uint64_t)(int64_t)(c[round & (SIDE - 1)][7] * 1024));
  }
  return (int64_t)sum;
}

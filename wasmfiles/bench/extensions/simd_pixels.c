// Blends two rows of pixels and blurs the result, sixteen bytes at a time: saturating and widening integer lanes,
// shuffles. n rounds over 4 KiB.
#include <wasm_simd128.h>

#include "../common.h"

#define PIXELS 4096
static uint8_t front[PIXELS + 32], back[PIXELS + 32], out[PIXELS + 32];

static v128_t blend(v128_t a, v128_t b, v128_t alpha) {
  const v128_t low = wasm_i16x8_add(wasm_u16x8_extmul_low_u8x16(a, alpha),
                                    wasm_u16x8_extmul_low_u8x16(b, wasm_i8x16_sub(wasm_i8x16_splat(-1), alpha)));
  const v128_t high = wasm_i16x8_add(wasm_u16x8_extmul_high_u8x16(a, alpha),
                                     wasm_u16x8_extmul_high_u8x16(b, wasm_i8x16_sub(wasm_i8x16_splat(-1), alpha)));
  return wasm_u8x16_narrow_i16x8(wasm_u16x8_shr(low, 8), wasm_u16x8_shr(high, 8));
}

RUN {
  uint64_t state = 88172645463325252, sum = 0;
  for (int32_t i = 0; i < PIXELS; ++i) {
    front[i] = (uint8_t)number_below(&state, 256);
    back[i] = (uint8_t)number_below(&state, 256);
  }
  for (int32_t round = 0; round < n; ++round) {
    const v128_t alpha = wasm_i8x16_splat((int8_t)(round * 7));
    for (int32_t i = 0; i < PIXELS; i += 16) {
      const v128_t mixed = blend(wasm_v128_load(front + i), wasm_v128_load(back + i), alpha);
      const v128_t next = wasm_v128_load(front + i + 1);
      const v128_t soft = wasm_u8x16_avgr(mixed, next);
      const v128_t edge = wasm_u8x16_sub_sat(wasm_u8x16_max(mixed, soft), wasm_u8x16_min(mixed, soft));
      const v128_t turned = wasm_i8x16_shuffle(edge, soft, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      wasm_v128_store(out + i, wasm_v128_bitselect(turned, soft, wasm_u8x16_gt(edge, wasm_i8x16_splat(9))));
    }
    sum = mix(sum, *(const uint64_t *)(out + (round * 8 & (PIXELS - 8))));
    front[round & (PIXELS - 1)] = (uint8_t)sum;
  }
  return (int64_t)sum;
}

// SHA-256 of a message of n blocks of 64 bytes, of which byte i is i mod 251:
// i32 shifts and additions, a table of constants, byte order. Returns the first
// 8 bytes of the digest, big-endian.
#include "common.h"

// The first 32 bits of the fractional parts of the roots of the first 64 primes.
static uint32_t cube_roots[64], square_roots[8];

static uint32_t rotate(uint32_t x, int by) { return x >> by | x << (32 - by); }

// floor(2^32 * x^(1/power)) mod 2^32, bit by bit; the root is below 2^3.
static uint32_t root_fraction(uint64_t x, int power) {
  uint64_t root = 0;
  for (int bit = 34; bit >= 0; --bit) {
    const uint64_t more = root | 1ull << bit;
    const unsigned __int128 square = (unsigned __int128)more * more;
    // Compares more^power with x * 2^(32 * power), 128 bits being enough for 35 * 3.
    const int fits = power == 2 ? square <= (unsigned __int128)x << 64 : square * more <= (unsigned __int128)x << 96;
    if (fits) root = more;
  }
  return (uint32_t)root;
}

static void make_tables(void) {
  int found = 0;
  for (uint32_t number = 2; found < 64; ++number) {
    uint32_t factor = 2;
    while (number % factor != 0) ++factor;
    if (factor < number) continue;
    if (found < 8) square_roots[found] = root_fraction(number, 2);
    cube_roots[found++] = root_fraction(number, 3);
  }
}

static void compress(uint32_t state[8], const uint8_t block[64]) {
  uint32_t w[64], s[8];
  for (int i = 0; i < 16; ++i)
    w[i] = (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 | block[4 * i + 3];
  for (int i = 16; i < 64; ++i) {
    const uint32_t a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + w[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
  }
  for (int i = 0; i < 8; ++i) s[i] = state[i];
  for (int i = 0; i < 64; ++i) {
    const uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
    const uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
    const uint32_t t = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) + choice + cube_roots[i] + w[i];
    const uint32_t u = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) + majority;
    for (int j = 7; j > 0; --j) s[j] = s[j - 1];
    s[4] += t;
    s[0] = t + u;
  }
  for (int i = 0; i < 8; ++i) state[i] += s[i];
}

RUN {
  if (n < 0) n = 0;
  uint32_t state[8];
  uint8_t block[64];
  make_tables();
  for (int i = 0; i < 8; ++i) state[i] = square_roots[i];
  const uint64_t length = (uint64_t)n * 64;
  for (uint64_t at = 0; at < length; at += 64) {
    for (int i = 0; i < 64; ++i) block[i] = (uint8_t)((at + i) % 251);
    compress(state, block);
  }
  for (int i = 0; i < 56; ++i) block[i] = i == 0 ? 0x80 : 0;
  for (int i = 0; i < 8; ++i) block[56 + i] = (uint8_t)(length * 8 >> (56 - 8 * i));
  compress(state, block);
  return (int64_t)((uint64_t)state[0] << 32 | state[1]);
}

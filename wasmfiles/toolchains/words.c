/* words [ROUNDS [fail]]: counts the words of standard input, computes for ROUNDS rounds, then fails if told to.
   Built twice: by clang for WASI, and by Emscripten. */
#include <assert.h>
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t count_words(void) {
  uint64_t words = 0;
  int inside = 0;
  for (int c; (c = getchar()) != EOF;) {
    words += !isspace(c) && !inside;
    inside = !isspace(c);
  }
  return words;
}

static uint64_t compute(uint64_t x, uint64_t rounds) {
  for (; rounds > 0; rounds--) x = (x ^ x >> 29) * 6364136223846793005 + 1442695040888963407;
  return x >> 33;
}

__attribute__((noinline)) static void fail(int index) {
  static const int table[] = {1, 2, 3};
  assert(index < 3);
  printf("%d\n", table[index]);
}

int main(int argc, char **argv) {
  uint64_t words = count_words();
  printf("%u words\n", (unsigned)words);
  uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
  printf("%u rounds: %u\n", (unsigned)rounds, (unsigned)compute(words, rounds));
  fflush(stdout);
  if (argc > 2 && strcmp(argv[2], "fail") == 0) fail(7);
}

// words [ROUNDS [fail]]: counts the words of standard input, computes for ROUNDS rounds, then fails if told to.
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

static std::uint64_t count_words() {
  std::uint64_t words = 0;
  bool inside = false;
  for (int c; (c = std::getchar()) != EOF;) {
    words += !std::isspace(c) && !inside;
    inside = !std::isspace(c);
  }
  return words;
}

static std::uint64_t compute(std::uint64_t x, std::uint64_t rounds) {
  for (; rounds > 0; rounds--) x = (x ^ x >> 29) * 6364136223846793005 + 1442695040888963407;
  return x >> 33;
}

[[gnu::noinline]] static int element(const std::vector<int> &table, std::size_t index) {
  return table.at(index);
}

int main(int argc, char **argv) {
  const std::uint64_t words = count_words();
  std::printf("%u words\n", static_cast<unsigned>(words));
  const std::uint64_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 0;
  std::printf("%u rounds: %u\n", static_cast<unsigned>(rounds), static_cast<unsigned>(compute(words, rounds)));
  std::fflush(stdout);
  if (argc > 2 && std::string_view(argv[2]) == "fail") std::printf("%d\n", element({1, 2, 3}, 7));
}

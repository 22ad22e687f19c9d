// Prints its arguments and the environment variable GREETING, then counts the
// words of stdin: the most frequent first, equal counts in byte order.
// Exits with 3 when the first argument is "fail", else with 0.
#include <algorithm>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

int main(int argc, char** argv) {
  std::cout << "arguments: " << argc - 1 << '\n';
  for (int i = 1; i < argc; ++i) std::cout << "  [" << i << "] " << argv[i] << '\n';

  const char* greeting = std::getenv("GREETING");
  std::cout << "GREETING: " << (greeting ? greeting : "(unset)") << '\n';

  std::map<std::string, unsigned> counts;
  unsigned lines = 0, words = 0;
  std::size_t letters = 0;
  for (std::string line; std::getline(std::cin, line); ++lines) {
    std::istringstream in(line);
    for (std::string word; in >> word; ++words) {
      letters += word.size();
      ++counts[word];
    }
  }

  std::vector<std::pair<std::string, unsigned>> sorted(counts.begin(), counts.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });

  std::cout << "lines: " << lines << ", words: " << words << ", distinct: " << sorted.size() << '\n';
  if (words != 0)
    std::cout << "mean length: " << std::fixed << std::setprecision(3)
              << static_cast<double>(letters) / words << '\n';
  for (const auto& [word, count] : sorted)
    std::cout << std::setw(4) << count << ' ' << word << '\n';
  std::cout << std::flush;

  if (argc > 1 && std::string(argv[1]) == "fail") {
    std::cerr << "failing as asked" << std::endl;
    return 3;
  }
}

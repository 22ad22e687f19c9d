// Multiplies two 100x100 matrices held in std::vector and returns the trace of
// the product. With a[i][k] = k and b[k][j] = k every element of the product is
// 0^2 + 1^2 + ... + 99^2 = 328350, so the trace is 32835000.
#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

using Matrix = std::vector<std::vector<std::int32_t>>;

constexpr std::size_t kSize = 100;

Matrix make(bool by_row) {
  Matrix m(kSize, std::vector<std::int32_t>(kSize));
  for (std::size_t row = 0; row < kSize; ++row)
    for (std::size_t col = 0; col < kSize; ++col)
      m[row][col] = static_cast<std::int32_t>(by_row ? row : col);
  return m;
}

[[gnu::noinline]] Matrix multiply(const Matrix& a, const Matrix& b) {
  Matrix c(kSize, std::vector<std::int32_t>(kSize, 0));
  for (std::size_t i = 0; i < kSize; ++i)
    for (std::size_t j = 0; j < kSize; ++j)
      for (std::size_t k = 0; k < kSize; ++k) c[i][j] += a[i][k] * b[k][j];
  return c;
}

}  // namespace

extern "C" __attribute__((export_name("run"))) std::int32_t run() {
  const Matrix c = multiply(make(false), make(true));
  std::int32_t trace = 0;
  for (std::size_t i = 0; i < kSize; ++i) trace += c[i][i];
  return trace;
}

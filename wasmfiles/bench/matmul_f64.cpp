// Products of 40x40 matrices of double, row added to row: floating point in an
// inner loop over consecutive elements. n products.
#include <array>
#include <bit>
#include <cstddef>

#include "common.h"

namespace {

template <std::size_t Rows, std::size_t Columns>
class Matrix {
 public:
  double &operator()(std::size_t row, std::size_t column) { return elements_[row * Columns + column]; }
  const double &operator()(std::size_t row, std::size_t column) const { return elements_[row * Columns + column]; }

  auto begin() const { return elements_.begin(); }
  auto end() const { return elements_.end(); }

 private:
  std::array<double, Rows * Columns> elements_;
};

constexpr std::size_t kSize = 40;
using Square = Matrix<kSize, kSize>;

// Between 0 and 2 / size, so that the product of many stays near 1.
void randomize(Square &matrix, uint64_t &state) {
  for (std::size_t row = 0; row < kSize; ++row)
    for (std::size_t column = 0; column < kSize; ++column)
      matrix(row, column) = number_below(&state, 1000001) * (2.0 / 1000000 / kSize);
}

template <std::size_t N, std::size_t M, std::size_t K>
[[gnu::noinline]] void multiply(const Matrix<N, K> &a, const Matrix<K, M> &b, Matrix<N, M> &product) {
  for (std::size_t i = 0; i < N; ++i) {
    for (std::size_t j = 0; j < M; ++j) product(i, j) = 0;
    for (std::size_t k = 0; k < K; ++k)
      for (std::size_t j = 0; j < M; ++j) product(i, j) += a(i, k) * b(k, j);
  }
}

}  // namespace

RUN {
  uint64_t state = 1, sum = 0;
  static Square factor, product, next;
  randomize(factor, state);
  randomize(product, state);
  for (int32_t round = 0; round < n; ++round) {
    multiply(product, factor, next);
    product = next;
    sum = mix(sum, std::bit_cast<uint64_t>(product(round % kSize, 0)));
  }
  for (const double element : product) sum = mix(sum, std::bit_cast<uint64_t>(element));
  return static_cast<int64_t>(sum);
}

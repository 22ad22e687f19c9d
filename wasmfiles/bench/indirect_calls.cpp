// Calls through the table: virtual functions of small objects, and an array of
// pointers to functions. n rounds over 256 objects.
#include <new>

#include "common.h"

namespace {

class Shape {
 public:
  virtual int32_t area() const { return 0; }
  virtual void scale(int32_t) {}
};

class Rectangle : public Shape {
 public:
  Rectangle(int32_t width, int32_t height) : width_(width), height_(height) {}
  int32_t area() const override { return width_ * height_; }
  void scale(int32_t by) override { width_ = (width_ * by) & 0xff; }

 private:
  int32_t width_, height_;
};

class Triangle : public Shape {
 public:
  Triangle(int32_t base, int32_t height) : base_(base), height_(height) {}
  int32_t area() const override { return base_ * height_ / 2; }
  void scale(int32_t by) override { height_ = (height_ + by) & 0xff; }

 private:
  int32_t base_, height_;
};

class Ring : public Shape {
 public:
  Ring(int32_t outer, int32_t inner) : outer_(outer), inner_(inner) {}
  int32_t area() const override { return (outer_ * outer_ - inner_ * inner_) * 22 / 7; }
  void scale(int32_t by) override { outer_ = inner_ + (by & 15); }

 private:
  int32_t outer_, inner_;
};

using Function = uint64_t (*)(uint64_t);

uint64_t add(uint64_t x) { return x + 0x1234567; }
uint64_t turn(uint64_t x) { return x << 7 | x >> 57; }
uint64_t fold(uint64_t x) { return x ^ x >> 23; }
uint64_t multiply(uint64_t x) { return x * 0x2545f4914f6cdd1d; }
uint64_t invert(uint64_t x) { return ~x; }

// Not const: the compiler is not to know what is called.
Function functions[] = {add, turn, fold, multiply, invert, fold, turn, add};

constexpr int kShapes = 256;

// Room for any of the shapes, which are placed here without an allocator.
struct Slot {
  alignas(Shape) unsigned char bytes[sizeof(Rectangle)];
};
static_assert(sizeof(Triangle) == sizeof(Slot) && sizeof(Ring) == sizeof(Slot));
Slot slots[kShapes];
Shape *shapes[kShapes];

void make_shapes(uint64_t &state) {
  for (int i = 0; i < kShapes; ++i) {
    const auto a = static_cast<int32_t>(number_below(&state, 100));
    const auto b = static_cast<int32_t>(number_below(&state, 100));
    switch (number_below(&state, 3)) {
      case 0: shapes[i] = new (&slots[i]) Rectangle(a, b); break;
      case 1: shapes[i] = new (&slots[i]) Triangle(a, b); break;
      default: shapes[i] = new (&slots[i]) Ring(a + b, b); break;
    }
  }
}

}  // namespace

RUN {
  uint64_t state = 7, sum = 0;
  make_shapes(state);
  for (int32_t round = 0; round < n; ++round) {
    for (Shape *shape : shapes) {
      shape->scale(round & 31);
      sum += static_cast<uint64_t>(shape->area());
      sum = functions[sum & 7](sum);
    }
  }
  return static_cast<int64_t>(sum);
}

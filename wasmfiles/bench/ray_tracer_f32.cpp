// A small ray tracer in float: spheres above a chequered plane, one light,
// shadows and reflections. n rows of 64 pixels; after 48 rows the next picture
// begins, the spheres moved on.
#include <cmath>

#include "common.h"

namespace {

struct Vector {
  float x, y, z;

  Vector operator+(const Vector &o) const { return {x + o.x, y + o.y, z + o.z}; }
  Vector operator-(const Vector &o) const { return {x - o.x, y - o.y, z - o.z}; }
  Vector operator*(float by) const { return {x * by, y * by, z * by}; }
  float dot(const Vector &o) const { return x * o.x + y * o.y + z * o.z; }
  Vector unit() const { return *this * (1 / std::sqrt(dot(*this))); }
};

struct Ray {
  Vector from, direction;
};

struct Sphere {
  Vector center;
  float radius, shine;
};

struct Hit {
  float distance;
  Vector normal;
  float brightness, shine;
};

constexpr int kWidth = 64, kHeight = 48, kSpheres = 5;
constexpr float kNothing = 1e30f;

class Scene {
 public:
  explicit Scene(int picture) {
    for (int i = 0; i < kSpheres; ++i) {
      const auto shift = static_cast<float>((picture + i * 3) % 8);
      spheres_[i] = {{static_cast<float>(i) * 1.5f - 3, shift * 0.25f, 6 + shift}, 0.5f + static_cast<float>(i) * 0.125f,
                     static_cast<float>(i) * 0.2f};
    }
  }

  float brightness(const Ray &ray, int depth) const {
    const Hit hit = nearest(ray);
    if (hit.distance >= kNothing) return 0.5f + 0.5f * ray.direction.y;
    const Vector place = ray.from + ray.direction * hit.distance + hit.normal * 1e-3f;
    const Vector to_light = Vector{4, 8, -3}.unit();
    float light = 0.125f;
    const float facing = hit.normal.dot(to_light);
    if (facing > 0 && nearest({place, to_light}).distance >= kNothing) light += facing;
    float result = hit.brightness * light;
    if (depth > 0 && hit.shine > 0) {
      const Vector mirrored = ray.direction - hit.normal * (2 * hit.normal.dot(ray.direction));
      result += hit.shine * brightness({place, mirrored}, depth - 1);
    }
    return result;
  }

 private:
  Hit nearest(const Ray &ray) const {
    Hit hit = {kNothing, {0, 0, 0}, 0, 0};
    for (const Sphere &sphere : spheres_) {
      const Vector apart = ray.from - sphere.center;
      const float b = apart.dot(ray.direction);
      const float square = b * b - apart.dot(apart) + sphere.radius * sphere.radius;
      if (square < 0) continue;
      const float distance = -b - std::sqrt(square);
      if (distance <= 0 || distance >= hit.distance) continue;
      hit = {distance, (apart + ray.direction * distance) * (1 / sphere.radius), 0.75f, sphere.shine};
    }
    const float down = (-1 - ray.from.y) / ray.direction.y;
    if (down > 0 && down < hit.distance && down < 50) {
      const Vector place = ray.from + ray.direction * down;
      const bool dark = (static_cast<int32_t>(std::floor(place.x)) ^ static_cast<int32_t>(std::floor(place.z))) & 1;
      hit = {down, {0, 1, 0}, dark ? 0.25f : 1.0f, 0.125f};
    }
    return hit;
  }

  Sphere spheres_[kSpheres];
};

}  // namespace

RUN {
  uint64_t sum = 0;
  for (int32_t row = 0; row < n; ++row) {
    const Scene scene(row / kHeight);
    const float y = 0.5f - static_cast<float>(row % kHeight) / kHeight;
    for (int column = 0; column < kWidth; ++column) {
      const float x = static_cast<float>(column) / kWidth - 0.5f;
      const float light = scene.brightness({{0, 0, 0}, Vector{x, y, 1}.unit()}, 3);
      sum = mix(sum, static_cast<uint64_t>(light * 255));
    }
  }
  return static_cast<int64_t>(sum);
}

/** Encoding of vectors. */
#include "codes.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vstore {
namespace {

constexpr float int8Largest = 127;

size_t componentBytes(Quantization quantization) {
  switch (quantization) {
    case Quantization::int8:
      return sizeof(int8_t);
    case Quantization::f16:
      return sizeof(Half);
    default:
      return sizeof(float);
  }
}

/** 1 / the length of a vector; 1 for one without direction. */
double normaliser(const float* vector, size_t n) {
  double square = 0;
  for (size_t i = 0; i < n; i++) square += static_cast<double>(vector[i]) * vector[i];
  return square > 0 ? 1 / std::sqrt(square) : 1;
}

/** Not a number becomes the smallest. */
int8_t toInt8(float steps) {
  const float rounded = std::nearbyint(steps);
  return static_cast<int8_t>(rounded > -int8Largest ? std::min(rounded, int8Largest) : -int8Largest);
}

}  // namespace

CodeSpace::CodeSpace(uint32_t dimensions, Metric metric, Quantization quantization)
    : kernels_(fastestKernels()),
      dimensions_(dimensions),
      metric_(metric),
      quantization_(quantization),
      bytes_(sizeof(Code) + dimensions * componentBytes(quantization)) {}

void CodeSpace::encode(const float* vector, Code& code) const {
  const double factor = metric_ == Metric::cosine ? normaliser(vector, dimensions_) : 1;
  code.scale = 1;
  code.square = 0;
  switch (quantization_) {
    case Quantization::int8:
      return encodeInt8(vector, factor, code);
    case Quantization::f16:
      for (size_t i = 0; i < dimensions_; i++) {
        code.components<Half>()[i] = toHalf(static_cast<float>(vector[i] * factor));
      }
      return;
    case Quantization::f32:
      for (size_t i = 0; i < dimensions_; i++) {
        code.components<float>()[i] = static_cast<float>(vector[i] * factor);
      }
  }
}

void CodeSpace::encodeInt8(const float* vector, double factor, Code& code) const {
  // Never zero, so that a vector of zeros can be divided by its step.
  float largest = std::numeric_limits<float>::min();
  for (size_t i = 0; i < dimensions_; i++) largest = std::max(largest, std::fabs(vector[i]));
  const float step = largest / int8Largest;
  int8_t* components = code.components<int8_t>();
  for (size_t i = 0; i < dimensions_; i++) components[i] = toInt8(vector[i] / step);
  code.scale = static_cast<float>(step * factor);
  const auto square = static_cast<float>(kernels_.dotInt8(components, components, dimensions_));
  code.square = code.scale * code.scale * square;
}

}  // namespace vstore

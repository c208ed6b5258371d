/** The kernels in plain C++, which the others are checked against, and the choice among all. */
#include "codes/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace vstore {

float toFloat(Half half) {
  const uint32_t sign = static_cast<uint32_t>(half.bits & 0x8000) << 16;
  const uint32_t magnitude = half.bits & 0x7fff;
  float value;
  if (magnitude < 0x0400) {
    value = static_cast<float>(magnitude) * 0x1p-24f;
    return sign ? -value : value;
  }
  const uint32_t bits = sign | ((magnitude << 13) + (112u << 23));
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

Half toHalf(float value) {
  constexpr float largest = 65504;
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const float magnitude = std::min(largest, std::fabs(value));
  // Below 2^-14 halves are multiples of 2^-24; above, the eleven leading bits count.
  if (!(magnitude >= 0x1p-14f)) {
    const float steps = magnitude > 0 ? std::nearbyint(magnitude * 0x1p24f) : 0;
    return {static_cast<uint16_t>(sign | static_cast<uint16_t>(steps))};
  }
  uint32_t bits;
  std::memcpy(&bits, &magnitude, sizeof bits);
  bits += 0x0fff + ((bits >> 13) & 1);
  return {static_cast<uint16_t>(sign | ((bits - (112u << 23)) >> 13))};
}

namespace {

float widen(float value) { return value; }
float widen(Half value) { return toFloat(value); }

int32_t dotInt8(const int8_t* a, const int8_t* b, size_t n) {
  int32_t sum = 0;
  for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

template <unsigned bits>
int32_t dotPacked(const int8_t* a, const uint8_t* packed, size_t bytes) {
  int32_t sum = 0;
  for (unsigned shift = 0; shift < 8; shift += bits) {
    for (size_t i = 0; i < bytes; i++) sum += *a++ * (packed[i] >> shift & ((1 << bits) - 1));
  }
  return sum;
}

template <class T>
float dot(const T* a, const T* b, size_t n) {
  float sum = 0;
  for (size_t i = 0; i < n; i++) sum += widen(a[i]) * widen(b[i]);
  return sum;
}

float square(const float* a, const float* b, size_t n) {
  float sum = 0;
  for (size_t i = 0; i < n; i++) {
    const float difference = a[i] - b[i];
    sum += difference * difference;
  }
  return sum;
}

Products productsFloat(const float* query, const float* row, size_t n) {
  float dots = 0, squares = 0;
  for (size_t i = 0; i < n; i++) {
    dots += query[i] * row[i];
    squares += row[i] * row[i];
  }
  return {dots, squares};
}

Products products(const double* query, const float* row, size_t n) {
  Products sums{0, 0};
  for (size_t i = 0; i < n; i++) {
    const double component = row[i];
    sums.dot += query[i] * component;
    sums.square += component * component;
  }
  return sums;
}

double squareExact(const double* query, const float* row, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += (query[i] - row[i]) * (query[i] - row[i]);
  return sum;
}

}  // namespace

const Kernels plainKernels = {
    "plain",    [] { return true; }, dotInt8,  nearOneByOne<dotInt8>, dot<Half>, dot<float>, square,
    productsFloat, products, squareExact, dotPacked<4>, dotPacked<2>, dotPacked<1>,
};

std::vector<const Kernels*> supportedKernels() {
  std::vector<const Kernels*> all = {&plainKernels};
#if defined(__x86_64__)
  for (const Kernels* kernels : {&avx2Kernels, &avx512Kernels}) {
    if (kernels->supported()) all.push_back(kernels);
  }
#elif defined(__aarch64__)
  all.push_back(&neonKernels);
#endif
  return all;
}

const Kernels& fastestKernels() {
  static const Kernels& fastest = *supportedKernels().back();
  return fastest;
}

}  // namespace vstore

/**
 * The inner loops: products and differences of two vectors, once per instruction set. Everything above works with
 * any of the sets; which one is decided at run time, so that one build serves every CPU of an architecture.
 */
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace vstore {

/** An IEEE 754 binary16 number. */
struct Half {
  uint16_t bits;
};
float toFloat(Half half);
/** Rounds to nearest, ties to even; a number that is too large becomes the largest finite one. */
Half toHalf(float value);

/** Σ q·r and Σ r·r of a query and a row. */
struct Products {
  double dot;
  double square;
};

/**
 * Σ field · a over packed components of 4, 2 or 1 bits: the lowest field of byte i goes with a[i], the next with
 * a[bytes + i], and so on. Components of a are -127 to 127, and 0 where there is no field.
 */
using PackedDot = int32_t (*)(const int8_t* a, const uint8_t* packed, size_t bytes);

struct Kernels {
  const char* name;
  /** Whether this CPU can run them. */
  bool (*supported)();
  /** Codes are -127 to 127. */
  int32_t (*dotInt8)(const int8_t* a, const int8_t* b, size_t n);
  /** The same of one vector with `count` others, each by itself. */
  void (*dotsInt8)(const int8_t* a, const int8_t* const* others, size_t n, size_t count, int32_t* dots);
  float (*dotHalf)(const Half* a, const Half* b, size_t n);
  float (*dotFloat)(const float* a, const float* b, size_t n);
  /** Σ (a - b)² */
  float (*squareFloat)(const float* a, const float* b, size_t n);
  /** What `products` gives, about: with the rounding of float32 sums. */
  Products (*productsFloat)(const float* query, const float* row, size_t n);
  /** Of distances that are shown: products of float32 are exact in float64, only the sums are rounded. */
  Products (*products)(const double* query, const float* row, size_t n);
  double (*squareExact)(const double* query, const float* row, size_t n);
  PackedDot dotInt4, dotInt2, dotBin;
};

/** One after the other: where that is as quick. */
template <int32_t (*dotInt8)(const int8_t*, const int8_t*, size_t)>
void dotsOneByOne(const int8_t* a, const int8_t* const* others, size_t n, size_t count, int32_t* dots) {
  for (size_t i = 0; i < count; i++) dots[i] = dotInt8(a, others[i], n);
}

extern const Kernels plainKernels;
#if defined(__x86_64__)
extern const Kernels avx2Kernels;
extern const Kernels avx512Kernels;
#elif defined(__aarch64__)
extern const Kernels neonKernels;
#endif

/** Those this CPU can run, the fastest last. */
std::vector<const Kernels*> supportedKernels();
const Kernels& fastestKernels();

}  // namespace vstore

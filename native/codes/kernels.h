/**
 * The inner loops: products and differences of two vectors, once per instruction set. Everything above works with
 * any of the sets; which one is decided at run time, so that one build serves every CPU of an architecture.
 */
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "codes/code.h"

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

/** A vector with components of 8 bits, and what it tells of its distances from codes of such components (codes.h). */
struct Int8Aim {
  const int8_t* components;
  size_t dimensions;
  float halfSquare, scale;
  /** Times as many standard deviations as a bound has. */
  float noise, norm;
};
/** The distance of a code by COSINE, and what is left of it when its error is as large as it may be. */
struct NearInt8 {
  uint32_t at;
  float distance, least;
};
/** Codes are asked for so long before they are compared. */
constexpr size_t codesAhead = 32;

struct Kernels {
  const char* name;
  /** Whether this CPU can run them. */
  bool (*supported)();
  /** Codes are -127 to 127. */
  int32_t (*dotInt8)(const int8_t* a, const int8_t* b, size_t n);
  /**
   * Those of `count` codes that may be no farther than `limit`, in order; the first `codesAhead` are in the cache by now.
   *
   * @param near has room for all
   * @returns how many those are
   */
  size_t (*nearInt8)(const Int8Aim& aim, const Code* const* codes, size_t count, float limit, NearInt8* near);
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

/** The lines of a code: of components, the last may begin anywhere in its line. */
inline void prefetchCode(const Code* code, size_t dimensions) {
  const int8_t* components = code->components<int8_t>();
  __builtin_prefetch(code);
  for (size_t i = 64; i < dimensions; i += 64) __builtin_prefetch(components + i);
  __builtin_prefetch(components + dimensions - 1);
}

/** Which are near cannot be predicted, so nothing branches on it. */
template <int32_t (*dotInt8)(const int8_t*, const int8_t*, size_t)>
size_t nearOneByOne(const Int8Aim& aim, const Code* const* codes, size_t count, float limit, NearInt8* near) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    if (i + codesAhead < count) prefetchCode(codes[i + codesAhead], aim.dimensions);
    const Code& code = *codes[i];
    const auto dot = static_cast<float>(dotInt8(aim.components, code.components<int8_t>(), aim.dimensions));
    const float distance = aim.halfSquare + code.norm * code.norm * 0.5f - aim.scale * code.scale * dot;
    const float own = aim.noise * code.norm, other = aim.norm * code.noise;
    const float least = distance - std::sqrt(own * own + other * other);
    near[kept] = {static_cast<uint32_t>(i), distance, least};
    kept += !(least > limit);
  }
  return kept;
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

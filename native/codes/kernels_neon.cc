/**
 * The kernels for NEON, which every 64-bit ARM has. The plain kernels do the remainder that fills no whole vector.
 */
#if defined(__aarch64__)
#include <arm_neon.h>

#include "codes/kernels.h"

namespace vstore {
namespace {

constexpr size_t whole(size_t n, size_t width) { return n - n % width; }

float32x4_t load(const float* p) { return vld1q_f32(p); }
float32x4_t load(const Half* p) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(reinterpret_cast<const uint16_t*>(p))));
}

int32_t dotInt8(const int8_t* a, const int8_t* b, size_t n) {
  const size_t end = whole(n, 16);
  int32x4_t sums = vdupq_n_s32(0);
  for (size_t i = 0; i < end; i += 16) {
    const int8x16_t x = vld1q_s8(a + i), y = vld1q_s8(b + i);
    // Two products of at most 127² fit into 16 bits.
    const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(y));
    sums = vpadalq_s16(sums, vmlal_s8(low, vget_high_s8(x), vget_high_s8(y)));
  }
  return vaddvq_s32(sums) + plainKernels.dotInt8(a + end, b + end, n - end);
}

template <unsigned bits>
int32_t dotPacked(const int8_t* a, const uint8_t* packed, size_t bytes) {
  constexpr int mask = (1 << bits) - 1;
  const size_t end = whole(bytes, 16);
  int32x4_t sums = vdupq_n_s32(0);
  for (size_t i = 0; i < end; i += 16) {
    uint8x16_t left = vld1q_u8(packed + i);
    int16x8_t pairs = vdupq_n_s16(0);
    for (unsigned at = 0; at < 8 / bits; at++, left = vshrq_n_u8(left, bits % 8)) {
      const int8x16_t fields = vreinterpretq_s8_u8(vandq_u8(left, vdupq_n_u8(mask)));
      const int8x16_t components = vld1q_s8(a + at * bytes + i);
      // Two products of at most 15 · 127 for each of two fields, or less for each of more: they fit into 16 bits.
      pairs = vmlal_s8(pairs, vget_low_s8(fields), vget_low_s8(components));
      pairs = vmlal_s8(pairs, vget_high_s8(fields), vget_high_s8(components));
    }
    sums = vpadalq_s16(sums, pairs);
  }
  int32_t rest = 0;
  for (unsigned at = 0; at < 8 / bits; at++) {
    for (size_t i = end; i < bytes; i++) rest += a[at * bytes + i] * (packed[i] >> at * bits & mask);
  }
  return vaddvq_s32(sums) + rest;
}

template <class T>
float dotWhole(const T* a, const T* b, size_t end) {
  float32x4_t even = vdupq_n_f32(0), odd = even;
  for (size_t i = 0; i < end; i += 8) {
    even = vfmaq_f32(even, load(a + i), load(b + i));
    odd = vfmaq_f32(odd, load(a + i + 4), load(b + i + 4));
  }
  return vaddvq_f32(vaddq_f32(even, odd));
}

float squareWhole(const float* a, const float* b, size_t end) {
  float32x4_t even = vdupq_n_f32(0), odd = even;
  for (size_t i = 0; i < end; i += 8) {
    const float32x4_t x = vsubq_f32(load(a + i), load(b + i));
    const float32x4_t y = vsubq_f32(load(a + i + 4), load(b + i + 4));
    even = vfmaq_f32(even, x, x);
    odd = vfmaq_f32(odd, y, y);
  }
  return vaddvq_f32(vaddq_f32(even, odd));
}

float dotHalf(const Half* a, const Half* b, size_t n) {
  const size_t end = whole(n, 8);
  return dotWhole(a, b, end) + plainKernels.dotHalf(a + end, b + end, n - end);
}

float dotFloat(const float* a, const float* b, size_t n) {
  const size_t end = whole(n, 8);
  return dotWhole(a, b, end) + plainKernels.dotFloat(a + end, b + end, n - end);
}

float squareFloat(const float* a, const float* b, size_t n) {
  const size_t end = whole(n, 8);
  return squareWhole(a, b, end) + plainKernels.squareFloat(a + end, b + end, n - end);
}

Products productsFloat(const float* query, const float* row, size_t n) {
  const size_t end = whole(n, 4);
  float32x4_t dots = vdupq_n_f32(0), squares = dots;
  for (size_t i = 0; i < end; i += 4) {
    const float32x4_t components = load(row + i);
    dots = vfmaq_f32(dots, load(query + i), components);
    squares = vfmaq_f32(squares, components, components);
  }
  const Products rest = plainKernels.productsFloat(query + end, row + end, n - end);
  return {vaddvq_f32(dots) + rest.dot, vaddvq_f32(squares) + rest.square};
}

Products products(const double* query, const float* row, size_t n) {
  const size_t end = whole(n, 2);
  float64x2_t dots = vdupq_n_f64(0), squares = dots;
  for (size_t i = 0; i < end; i += 2) {
    const float64x2_t components = vcvt_f64_f32(vld1_f32(row + i));
    dots = vfmaq_f64(dots, vld1q_f64(query + i), components);
    squares = vfmaq_f64(squares, components, components);
  }
  const Products rest = plainKernels.products(query + end, row + end, n - end);
  return {vaddvq_f64(dots) + rest.dot, vaddvq_f64(squares) + rest.square};
}

double squareExact(const double* query, const float* row, size_t n) {
  const size_t end = whole(n, 2);
  float64x2_t sums = vdupq_n_f64(0);
  for (size_t i = 0; i < end; i += 2) {
    const float64x2_t difference = vsubq_f64(vld1q_f64(query + i), vcvt_f64_f32(vld1_f32(row + i)));
    sums = vfmaq_f64(sums, difference, difference);
  }
  return vaddvq_f64(sums) + plainKernels.squareExact(query + end, row + end, n - end);
}

}  // namespace

const Kernels neonKernels = {
    "neon",     [] { return true; }, dotInt8, nearOneByOne<dotInt8>, dotHalf, dotFloat,
    squareFloat, productsFloat, products, squareExact, dotPacked<4>, dotPacked<2>, dotPacked<1>,
};

}  // namespace vstore
#endif

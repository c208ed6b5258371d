/** The kernels for AVX2 and for AVX-512 with VNNI. Each function says what it needs; nothing else may call it. */
#if defined(__x86_64__)
// GCC 12 warns of variables that its own header leaves uninitialised on purpose (its bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

#include <algorithm>

#include "codes/kernels.h"

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")))

namespace vstore {
namespace avx2 {

/** Components in whole vectors; the plain kernels do the rest. */
constexpr size_t whole(size_t n, size_t width) { return n - n % width; }

AVX2 inline __m256 load(const float* p) { return _mm256_loadu_ps(p); }
AVX2 inline __m256 load(const Half* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

AVX2 inline double sum(__m256d v) {
  const __m128d halves = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
  return _mm_cvtsd_f64(_mm_add_sd(halves, _mm_unpackhi_pd(halves, halves)));
}

AVX2 inline float sum(__m256 v) {
  const __m128 quarters = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 pairs = _mm_add_ps(quarters, _mm_movehl_ps(quarters, quarters));
  return _mm_cvtss_f32(_mm_add_ss(pairs, _mm_movehdup_ps(pairs)));
}

AVX2 inline int32_t sum(__m256i v) {
  const __m128i quarters = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  const __m128i pairs = _mm_add_epi32(quarters, _mm_unpackhi_epi64(quarters, quarters));
  return _mm_cvtsi128_si32(_mm_add_epi32(pairs, _mm_shuffle_epi32(pairs, 1)));
}

/** The products of 32 bytes of each, in sums of four. */
AVX2 inline __m256i products(__m256i x, __m256i y) {
  // |x| · (y with the sign of x). Two products of at most 127² fit into 16 bits.
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(y, x));
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

AVX2 inline __m256i loadBytes(const int8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }

/** Sums of at least 32 products, in lanes. */
AVX2 inline __m256i dotInLanes(const int8_t* a, const int8_t* b, size_t n) {
  const size_t end = whole(n, 32), rest = n - end;
  __m256i sums = _mm256_setzero_si256();
  for (size_t i = 0; i < end; i += 32) {
    sums = _mm256_add_epi32(sums, products(loadBytes(a + i), loadBytes(b + i)));
  }
  if (rest == 0) return sums;
  // The last 32 bytes, without those that are in the sum already: from the mask on, `rest` bytes are ones.
  static const int8_t mask[64] = {0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
                                  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                  -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
  const __m256i last = _mm256_and_si256(loadBytes(b + n - 32), loadBytes(mask + rest));
  return _mm256_add_epi32(sums, products(loadBytes(a + n - 32), last));
}

AVX2 int32_t dotInt8(const int8_t* a, const int8_t* b, size_t n) {
  return n < 32 ? plainKernels.dotInt8(a, b, n) : sum(dotInLanes(a, b, n));
}

/** The sums of the lanes of four vectors. */
AVX2 inline __m128i sumsOf(__m256i a, __m256i b, __m256i c, __m256i d) {
  const __m256i all = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
  return _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
}

/** What is near of four codes, whose products with the vector are `dots`. Hardly any is. */
struct NearOfFour {
  AVX2 NearOfFour(const Int8Aim& aim, float limit)
      : halfSquare(_mm_set1_ps(aim.halfSquare)),
        scale(_mm_set1_ps(aim.scale)),
        noise(_mm_set1_ps(aim.noise)),
        norm(_mm_set1_ps(aim.norm)),
        limits(_mm_set1_ps(limit)) {}

  AVX2 size_t keep(const Code* const* four, size_t count, __m128i dots, size_t from, NearInt8* near) const {
    __m128 scales = _mm_loadu_ps(&four[0]->scale), norms = _mm_loadu_ps(&four[1]->scale);
    __m128 noises = _mm_loadu_ps(&four[2]->scale), others = _mm_loadu_ps(&four[3]->scale);
    _MM_TRANSPOSE4_PS(scales, norms, noises, others);
    const __m128 squares = _mm_fmadd_ps(_mm_mul_ps(norms, _mm_set1_ps(0.5f)), norms, halfSquare);
    const __m128 distances = _mm_fnmadd_ps(_mm_mul_ps(scale, scales), _mm_cvtepi32_ps(dots), squares);
    const __m128 own = _mm_mul_ps(noise, norms), other = _mm_mul_ps(norm, noises);
    const __m128 errors = _mm_sqrt_ps(_mm_fmadd_ps(own, own, _mm_mul_ps(other, other)));
    const __m128 least = _mm_sub_ps(distances, errors);
    const int mask = _mm_movemask_ps(_mm_cmp_ps(least, limits, _CMP_NGT_UQ)) & ((1 << count) - 1);
    if (__builtin_expect(mask == 0, true)) return 0;
    float all[2][4];
    _mm_storeu_ps(all[0], distances);
    _mm_storeu_ps(all[1], least);
    size_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
      near[kept] = {static_cast<uint32_t>(from) + i, all[0][i], all[1][i]};
      kept += mask >> i & 1;
    }
    return kept;
  }

  const __m128 halfSquare, scale, noise, norm, limits;
};

/** `dotsOf(four codes)` gives four products. It is part of what calls it, which may need more of the CPU. */
template <class DotsOf>
__attribute__((always_inline)) AVX2 inline size_t nearByFour(const Int8Aim& aim, const Code* const* codes, size_t count,
                                                             float limit, NearInt8* near, const DotsOf& dotsOf) {
  const NearOfFour nearOfFour(aim, limit);
  size_t kept = 0, at = 0;
  for (; at + 4 <= count; at += 4) {
    const Code* const* ahead = codes + std::min(at + codesAhead, count - 4);
    for (size_t i = 0; i < 4; i++) prefetchCode(ahead[i], aim.dimensions);
    kept += nearOfFour.keep(codes + at, 4, dotsOf(codes + at), at, near + kept);
  }
  if (at == count) return kept;
  const Code* four[4];
  for (size_t i = 0; i < 4; i++) four[i] = codes[at + i < count ? at + i : at];
  return kept + nearOfFour.keep(four, count - at, dotsOf(four), at, near + kept);
}

AVX2 size_t nearInt8(const Int8Aim& aim, const Code* const* codes, size_t count, float limit, NearInt8* near) {
  if (aim.dimensions < 32) return nearOneByOne<dotInt8>(aim, codes, count, limit, near);
  return nearByFour(aim, codes, count, limit, near, [&](const Code* const* four) AVX2 {
    const auto lanes = [&](size_t i) AVX2 {
      return dotInLanes(aim.components, four[i]->components<int8_t>(), aim.dimensions);
    };
    return sumsOf(lanes(0), lanes(1), lanes(2), lanes(3));
  });
}

template <unsigned bits>
AVX2 int32_t dotPacked(const int8_t* a, const uint8_t* packed, size_t bytes) {
  constexpr int mask = (1 << bits) - 1;
  const size_t end = whole(bytes, 32);
  __m256i sums = _mm256_setzero_si256();
  for (size_t i = 0; i < end; i += 32) {
    const __m256i all = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(packed + i));
    __m256i pairs = _mm256_setzero_si256();
    for (unsigned shift = 0; shift < 8; shift += bits) {
      const __m256i fields = _mm256_and_si256(_mm256_srli_epi16(all, static_cast<int>(shift)), _mm256_set1_epi8(mask));
      const auto components = reinterpret_cast<const __m256i*>(a + shift / bits * bytes + i);
      // Two products of at most 15 · 127 for each of two fields, or less for each of more: they fit into 16 bits.
      pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(fields, _mm256_loadu_si256(components)));
    }
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  int32_t rest = 0;
  for (unsigned shift = 0; shift < 8; shift += bits) {
    for (size_t i = end; i < bytes; i++) rest += a[shift / bits * bytes + i] * (packed[i] >> shift & mask);
  }
  return sum(sums) + rest;
}

template <class T>
AVX2 __m256 dotWhole(const T* a, const T* b, size_t end) {
  __m256 even = _mm256_setzero_ps(), odd = even;
  size_t i = 0;
  for (; i + 16 <= end; i += 16) {
    even = _mm256_fmadd_ps(load(a + i), load(b + i), even);
    odd = _mm256_fmadd_ps(load(a + i + 8), load(b + i + 8), odd);
  }
  if (i < end) even = _mm256_fmadd_ps(load(a + i), load(b + i), even);
  return _mm256_add_ps(even, odd);
}

AVX2 __m256 squareWhole(const float* a, const float* b, size_t end) {
  __m256 sums = _mm256_setzero_ps();
  for (size_t i = 0; i < end; i += 8) {
    const __m256 difference = _mm256_sub_ps(load(a + i), load(b + i));
    sums = _mm256_fmadd_ps(difference, difference, sums);
  }
  return sums;
}

AVX2 float dotHalf(const Half* a, const Half* b, size_t n) {
  const size_t end = whole(n, 8);
  return sum(dotWhole(a, b, end)) + plainKernels.dotHalf(a + end, b + end, n - end);
}

AVX2 float dotFloat(const float* a, const float* b, size_t n) {
  const size_t end = whole(n, 8);
  return sum(dotWhole(a, b, end)) + plainKernels.dotFloat(a + end, b + end, n - end);
}

AVX2 float squareFloat(const float* a, const float* b, size_t n) {
  const size_t end = whole(n, 8);
  return sum(squareWhole(a, b, end)) + plainKernels.squareFloat(a + end, b + end, n - end);
}

AVX2 Products productsFloat(const float* query, const float* row, size_t n) {
  const size_t end = whole(n, 8);
  __m256 dots = _mm256_setzero_ps(), squares = dots;
  for (size_t i = 0; i < end; i += 8) {
    const __m256 components = load(row + i);
    dots = _mm256_fmadd_ps(load(query + i), components, dots);
    squares = _mm256_fmadd_ps(components, components, squares);
  }
  const Products rest = plainKernels.productsFloat(query + end, row + end, n - end);
  return {sum(dots) + rest.dot, sum(squares) + rest.square};
}

AVX2 Products products(const double* query, const float* row, size_t n) {
  const size_t end = whole(n, 4);
  __m256d dots = _mm256_setzero_pd(), squares = dots;
  for (size_t i = 0; i < end; i += 4) {
    const __m256d components = _mm256_cvtps_pd(_mm_loadu_ps(row + i));
    dots = _mm256_fmadd_pd(_mm256_loadu_pd(query + i), components, dots);
    squares = _mm256_fmadd_pd(components, components, squares);
  }
  const Products rest = plainKernels.products(query + end, row + end, n - end);
  return {sum(dots) + rest.dot, sum(squares) + rest.square};
}

AVX2 double squareExact(const double* query, const float* row, size_t n) {
  const size_t end = whole(n, 4);
  __m256d sums = _mm256_setzero_pd();
  for (size_t i = 0; i < end; i += 4) {
    const __m256d components = _mm256_cvtps_pd(_mm_loadu_ps(row + i));
    const __m256d difference = _mm256_sub_pd(_mm256_loadu_pd(query + i), components);
    sums = _mm256_fmadd_pd(difference, difference, sums);
  }
  return sum(sums) + plainKernels.squareExact(query + end, row + end, n - end);
}

bool supported() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

}  // namespace avx2

namespace avx512 {

/** A mask of the first `n` of `width` lanes, from `i` on; none when `i` is beyond. */
inline uint64_t lanes(size_t n, size_t i, size_t width) {
  if (i + width <= n) return ~0ull >> (64 - width);
  return i < n ? (1ull << (n - i)) - 1 : 0;
}

AVX512 inline __m512 load(const float* p, __mmask16 mask) { return _mm512_maskz_loadu_ps(mask, p); }
AVX512 inline __m512 load(const Half* p, __mmask16 mask) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, p));
}

/** VNNI multiplies unsigned with signed bytes: (b + 128)·a - 128·Σa. */
AVX512 inline __m512i unsignedOf(__m512i b) { return _mm512_xor_si512(b, _mm512_set1_epi8(static_cast<char>(0x80))); }

AVX512 inline __m256i half(__m512i v) {
  return _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
}

AVX512 inline __m128i sumsOf(const __m512i* four) {
  return avx2::sumsOf(half(four[0]), half(four[1]), half(four[2]), half(four[3]));
}

/**
 * Calls `add(bytes of a, i, loaded)` for each 64 components, which the others have at i. The last bytes are looked at
 * with some before them, whose factors in a are 0 then: loads under a mask are far slower where they cross a cache line.
 */
template <class Add>
AVX512 inline void forLanes(const int8_t* a, size_t n, const Add& add) {
  constexpr size_t width = 64;
  if (n < width) {
    const __mmask64 mask = lanes(n, 0, width);
    return add(_mm512_maskz_loadu_epi8(mask, a), 0, mask);
  }
  const size_t end = n - n % width;
  for (size_t i = 0; i < end; i += width) add(_mm512_loadu_si512(a + i), i, ~0ull);
  const __mmask64 last = ~(~0ull >> (n - end));
  if (end < n) add(_mm512_maskz_mov_epi8(last, _mm512_loadu_si512(a + n - width)), n - width, ~0ull);
}

/** 128·Σa, in lanes. */
AVX512 inline __m512i excessOf(const int8_t* a, size_t n) {
  __m512i excess = _mm512_setzero_si512();
  forLanes(a, n, [&](__m512i x, size_t, __mmask64) AVX512 {
    excess = _mm512_dpbusd_epi32(excess, _mm512_set1_epi8(static_cast<char>(0x80)), x);
  });
  return excess;
}

/** Sums of a with `count` others, in lanes, and 128·Σa. */
template <size_t count>
AVX512 inline void dotsInLanes(const int8_t* a, const int8_t* const* b, size_t n, __m512i* sums) {
  for (size_t at = 0; at < count; at++) sums[at] = _mm512_setzero_si512();
  forLanes(a, n, [&](__m512i x, size_t i, __mmask64 loaded) AVX512 {
    for (size_t at = 0; at < count; at++) {
      const __m512i y = loaded == ~0ull ? _mm512_loadu_si512(b[at] + i) : _mm512_maskz_loadu_epi8(loaded, b[at] + i);
      sums[at] = _mm512_dpbusd_epi32(sums[at], unsignedOf(y), x);
    }
  });
}

AVX512 int32_t dotInt8(const int8_t* a, const int8_t* b, size_t n) {
  __m512i sum;
  dotsInLanes<1>(a, &b, n, &sum);
  return _mm512_reduce_add_epi32(_mm512_sub_epi32(sum, excessOf(a, n)));
}

/** Four at once share what is done with a, and the steps of their last sums. */
AVX512 inline __m128i dotsOfFour(const int8_t* a, __m128i excess, const Code* const* four, size_t n) {
  const int8_t* components[4];
  for (size_t i = 0; i < 4; i++) components[i] = four[i]->components<int8_t>();
  __m512i sums[4];
  dotsInLanes<4>(a, components, n, sums);
  return _mm_sub_epi32(sumsOf(sums), excess);
}

AVX512 size_t nearInt8(const Int8Aim& aim, const Code* const* codes, size_t count, float limit, NearInt8* near) {
  const int8_t* a = aim.components;
  const size_t n = aim.dimensions;
  const __m128i excess = _mm_set1_epi32(_mm512_reduce_add_epi32(excessOf(a, n)));
  return avx2::nearByFour(aim, codes, count, limit, near, [&](const Code* const* four) AVX512 {
    return dotsOfFour(a, excess, four, n);
  });
}

template <unsigned bits>
AVX512 int32_t dotPacked(const int8_t* a, const uint8_t* packed, size_t bytes) {
  __m512i even = _mm512_setzero_si512(), odd = even;
  for (size_t i = 0; i < bytes; i += 64) {
    const __mmask64 mask = lanes(bytes, i, 64);
    const __m512i all = _mm512_maskz_loadu_epi8(mask, packed + i);
    const auto add = [&](__m512i sums, unsigned shift) AVX512 {
      const __m512i fields = _mm512_and_si512(_mm512_srli_epi16(all, shift), _mm512_set1_epi8((1 << bits) - 1));
      return _mm512_dpbusd_epi32(sums, fields, _mm512_maskz_loadu_epi8(mask, a + shift / bits * bytes + i));
    };
    for (unsigned shift = 0; shift < 8; shift += 2 * bits) {
      even = add(even, shift);
      odd = add(odd, shift + bits);
    }
  }
  return _mm512_reduce_add_epi32(_mm512_add_epi32(even, odd));
}

template <class T>
AVX512 float dot(const T* a, const T* b, size_t n) {
  __m512 even = _mm512_setzero_ps(), odd = even;
  for (size_t i = 0; i < n; i += 32) {
    const __mmask16 first = lanes(n, i, 16), second = lanes(n, i + 16, 16);
    even = _mm512_fmadd_ps(load(a + i, first), load(b + i, first), even);
    odd = _mm512_fmadd_ps(load(a + i + 16, second), load(b + i + 16, second), odd);
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(even, odd));
}

AVX512 float square(const float* a, const float* b, size_t n) {
  __m512 even = _mm512_setzero_ps(), odd = even;
  for (size_t i = 0; i < n; i += 32) {
    const __mmask16 first = lanes(n, i, 16), second = lanes(n, i + 16, 16);
    const __m512 x = _mm512_sub_ps(load(a + i, first), load(b + i, first));
    const __m512 y = _mm512_sub_ps(load(a + i + 16, second), load(b + i + 16, second));
    even = _mm512_fmadd_ps(x, x, even);
    odd = _mm512_fmadd_ps(y, y, odd);
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(even, odd));
}

AVX512 Products productsFloat(const float* query, const float* row, size_t n) {
  __m512 dots = _mm512_setzero_ps(), squares = dots;
  for (size_t i = 0; i < n; i += 16) {
    const __mmask16 mask = lanes(n, i, 16);
    const __m512 components = load(row + i, mask);
    dots = _mm512_fmadd_ps(load(query + i, mask), components, dots);
    squares = _mm512_fmadd_ps(components, components, squares);
  }
  return {_mm512_reduce_add_ps(dots), _mm512_reduce_add_ps(squares)};
}

AVX512 Products products(const double* query, const float* row, size_t n) {
  __m512d dots = _mm512_setzero_pd(), squares = dots;
  for (size_t i = 0; i < n; i += 8) {
    const __mmask8 mask = lanes(n, i, 8);
    const __m512d components = _mm512_cvtps_pd(_mm256_maskz_loadu_ps(mask, row + i));
    dots = _mm512_fmadd_pd(_mm512_maskz_loadu_pd(mask, query + i), components, dots);
    squares = _mm512_fmadd_pd(components, components, squares);
  }
  return {_mm512_reduce_add_pd(dots), _mm512_reduce_add_pd(squares)};
}

AVX512 double squareExact(const double* query, const float* row, size_t n) {
  __m512d sums = _mm512_setzero_pd();
  for (size_t i = 0; i < n; i += 8) {
    const __mmask8 mask = lanes(n, i, 8);
    const __m512d components = _mm512_cvtps_pd(_mm256_maskz_loadu_ps(mask, row + i));
    const __m512d difference = _mm512_sub_pd(_mm512_maskz_loadu_pd(mask, query + i), components);
    sums = _mm512_fmadd_pd(difference, difference, sums);
  }
  return _mm512_reduce_add_pd(sums);
}

bool supported() {
  return avx2::supported() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni");
}

}  // namespace avx512

const Kernels avx2Kernels = {
    "avx2",           avx2::supported,   avx2::dotInt8,       avx2::nearInt8,
    avx2::dotHalf,    avx2::dotFloat,
    avx2::squareFloat, avx2::productsFloat, avx2::products, avx2::squareExact,
    avx2::dotPacked<4>, avx2::dotPacked<2>, avx2::dotPacked<1>,
};
const Kernels avx512Kernels = {
    "avx512",             avx512::supported,     avx512::dotInt8,  avx512::nearInt8,
    avx512::dot<Half>,    avx512::dot<float>,
    avx512::square,       avx512::productsFloat, avx512::products, avx512::squareExact,
    avx512::dotPacked<4>, avx512::dotPacked<2>, avx512::dotPacked<1>,
};

}  // namespace vstore
#pragma GCC diagnostic pop
#endif

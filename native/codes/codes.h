/**
 * Codes: what the graph keeps of a vector to find its way, smaller than the vector itself. A distance between codes is
 * an estimate with a known error. Where the error is too large, the rows decide.
 *
 * A vector is normalised under COSINE, then the centre of the collection is subtracted. Where a component gets less
 * than a byte, what is left is rotated (rotation.h). The outcome x is rounded to a code: x ≈ code · scale. The scale
 * makes the rounding error orthogonal to x, so that the product of a code and a vector is an unbiased estimate of the
 * product of what they stand for (RaBitQ, Gao & Long 2024, section 3.2; for more bits Gao et al. 2024). The error of
 * such a product is about ε · norm / √dimensions, where ε is the length of the rounding error.
 *
 * A vector that codes of few bits are compared with, an origin, has eight bits a component, as RaBitQ's queries have
 * four: what is compared once with many can be precise.
 *
 * Walks use distances of their own: COSINE 1 − cos, L2 half the squared distance, IP centre² − product, which loses no
 * digits to a large centre. With the norms of x the first two are (norm² + norm²) / 2 − product of x's.
 */
#pragma once
#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>

#include "codes/code.h"
#include "codes/kernels.h"
#include "codes/rotation.h"

namespace vstore {

enum class Metric : uint32_t { cosine = 1, l2 = 2, ip = 3 };
enum class Quantization : uint32_t { int8 = 1, f16 = 2, f32 = 3, int4 = 4, int2 = 5, bin = 6 };

/** What all others are compared with, and what an estimate needs of it. It moves and is not copied. */
struct Origin {
  Origin() = default;
  Origin(Origin&&) = default;

  double scale, norm, noise, halfSquare, along;
  /** Gaps below it may be unsure. */
  double unsureMax;
  /** No bound is larger. */
  double boundMax;
  const void* components;
  /** Of the components, where codes are packed. */
  int32_t sum = 0;
  /** Of the components, where they are no code's. */
  std::vector<std::byte> memory;
};

/** The distance between two codes, as walks use it. */
struct Estimate {
  double distance;
  /** The distance under L2, whichever the metric. */
  double gap;
};

class CodeSpace {
 public:
  CodeSpace(uint32_t dimensions, Metric metric, Quantization quantization);

  const Metric metric;
  const Quantization quantization;
  const uint32_t dimensions;

  /** Of one code, head included. */
  size_t bytes() const { return bytes_; }
  /** Whether several components share a byte. */
  bool isPacked() const { return packedBits_ > 0; }
  /** What is subtracted from every vector: empty, or shape (dimensions). */
  const std::vector<float>& centre() const { return centre_; }
  /** May be asked while another thread sets it. */
  bool isCentred() const { return isCentred_.load(std::memory_order_relaxed); }
  /** Before any code is made, and before other threads know of it. */
  void setCentre(std::vector<float> centre);
  /** Centre · centre. */
  double centreSquare() const { return centreSquare_; }
  /** The centre of vectors of shape (n x dimensions); empty when there are too few of them. */
  std::vector<float> centreOf(const std::vector<const float*>& vectors) const;
  /** The norm beyond which their like are outliers (isOutlier), once the centre is set. */
  float outlierNormOf(const std::vector<const float*>& vectors) const;
  void setOutlierNorm(float norm) { outlierNorm_ = norm; }
  float outlierNorm() const { return outlierNorm_; }
  /**
   * Whether a code is so much longer than most that the error of its product hides those of all others. Then the
   * estimate cannot tell whether the vector is the nearest or the farthest of all, which it often is under IP; under
   * the other metrics it is far away in any case.
   */
  bool isOutlier(const Code& code) const { return code.norm > outlierNorm_; }

  /** Writes the code of a vector (dimensions), without its hash. */
  void encode(const float* vector, Code& code) const;
  /** Of a vector (dimensions), as precise as can be. */
  Origin originOf(const float* vector) const;
  /** What a code stands for, which is kept by the caller. */
  Origin originOf(const Code& code) const;
  /** The sum of the products of components. */
  float dot(const Origin& a, const Code& b) const;
  /** Whether `near` is to be had. */
  bool isQuick() const { return metric == Metric::cosine && quantization == Quantization::int8; }
  /**
   * Of `count` codes those that may be no farther than `limit`, with float32, which is enough for vectors of length 1.
   *
   * @param codes the first `codesAhead` are in the cache
   * @param near has room for all
   * @returns how many those are
   */
  size_t near(const Origin& a, const Code* const* codes, size_t count, double limit, NearInt8* near) const;
  /** Notes a code that others are compared with from now on. Of outliers no estimate is used. */
  void note(const Code& code) {
    if (!isOutlier(code)) noteLargest(code.norm, code.noise);
  }
  void noteLargest(float norm, float noise);
  float largestNorm() const { return normMax_.load(std::memory_order_relaxed); }
  float largestNoise() const { return noiseMax_.load(std::memory_order_relaxed); }
  Estimate estimate(const Origin& a, const Code& b, float dot) const;
  Estimate estimate(const Origin& a, const Code& b) const { return estimate(a, b, dot(a, b)); }
  /** Whether the two lie so close that the error hides their distance. */
  bool isUnsure(const Origin& a, const Code& b, double gap) const { return gap < unsureErrors * errorOf(a, b); }
  /** How far off the estimate of a distance may be, hardly ever more. */
  double bound(const Origin& a, const Code& b) const { return boundErrors * errorOf(a, b); }
  /** The same where hardly any of many vectors may be missed: the two errors have nothing to do with each other. */
  double usualBound(const Origin& a, const Code& b) const {
    return boundErrors * std::hypot(a.noise * b.norm, a.norm * b.noise);
  }

 private:
  /** About the standard deviation of the error. */
  double errorOf(const Origin& a, const Code& b) const { return a.noise * b.norm + a.norm * b.noise; }
  /** A vector ready to be rounded. */
  struct Ready;
  Ready readyOf(const float* vector) const;
  template <class Round>
  void write(const Ready& ready, double steps, Code& head, const Round& round) const;
  void writePacked(const Ready& ready, Code& code) const;
  void writeInt8(const Ready& ready, Code& head, int8_t* components) const;
  Origin originOf(const Code& head, const void* components) const;
  /** Bytes of the components of an origin where codes are packed: each field of each byte has one. */
  size_t fields() const { return componentBytes_ * 8 / packedBits_; }

  const Kernels& kernels_;
  /** Of a component that shares a byte; else 0. */
  const unsigned packedBits_;
  const size_t componentBytes_;
  const size_t bytes_;
  std::optional<Rotation> rotation_;
  std::vector<float> centre_;
  std::atomic<bool> isCentred_{false};
  /** The largest of all codes. */
  std::atomic<float> normMax_{0}, noiseMax_{0};
  double centreSquare_ = 0;
  float outlierNorm_ = std::numeric_limits<float>::infinity();
  /** What the rounding of `along` adds to the noise of a code that others are compared with; 0 where there is none. */
  double centreNoise_ = 0;

  /** An error hardly ever exceeds so many standard deviations. */
  static constexpr double boundErrors = 3;
  /** Below so many of them the distance of two vectors is not known well enough. */
  static constexpr double unsureErrors = 8;
};

inline float CodeSpace::dot(const Origin& a, const Code& b) const {
  const size_t n = dimensions;
  const auto ints = static_cast<const int8_t*>(a.components);
  // A field of u stands for the component 2 u − largest.
  const auto packed = [&](PackedDot kernel) {
    const int32_t fields = kernel(ints, b.components<uint8_t>(), componentBytes_);
    return static_cast<float>(2 * fields - ((1 << packedBits_) - 1) * a.sum);
  };
  switch (quantization) {
    case Quantization::int8:
      return static_cast<float>(kernels_.dotInt8(ints, b.components<int8_t>(), n));
    case Quantization::f16:
      return kernels_.dotHalf(static_cast<const Half*>(a.components), b.components<Half>(), n);
    case Quantization::int4:
      return packed(kernels_.dotInt4);
    case Quantization::int2:
      return packed(kernels_.dotInt2);
    case Quantization::bin:
      return packed(kernels_.dotBin);
    default:
      return kernels_.dotFloat(static_cast<const float*>(a.components), b.components<float>(), n);
  }
}

inline size_t CodeSpace::near(const Origin& a, const Code* const* codes, size_t count, double limit,
                              NearInt8* near) const {
  const auto errors = [](double value) { return static_cast<float>(boundErrors * value); };
  const auto components = static_cast<const int8_t*>(a.components);
  const Int8Aim aim{components,       dimensions,      static_cast<float>(a.halfSquare), static_cast<float>(a.scale),
                    errors(a.noise), errors(a.norm)};
  // Rounded up.
  return kernels_.nearInt8(aim, codes, count, static_cast<float>(limit) * (1 + 0x1p-20f), near);
}

inline Estimate CodeSpace::estimate(const Origin& a, const Code& b, float dot) const {
  const double norm = b.norm;
  const double product = a.scale * b.scale * dot;
  const double gap = a.halfSquare + norm * norm * 0.5 - product;
  return {metric == Metric::ip ? -(product + a.along + norm * b.along) : gap, gap};
}

}  // namespace vstore

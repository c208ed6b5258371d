/**
 * Codes: what the graph keeps of a vector to find its way, smaller than the vector itself. A distance between codes is
 * an estimate with a known error. Where the error is too large, the rows decide.
 *
 * A vector is normalised under COSINE, then the centre of the collection is subtracted, then the rest x is rounded to a
 * code: x ≈ code · scale. The scale makes the rounding error orthogonal to x, so that the product of two codes is an
 * unbiased estimate of the product of what they stand for (RaBitQ, Gao & Long 2024, section 3.2; for more bits Gao et
 * al. 2024). The error of such a product is about ε · norm / √dimensions, where ε is the length of the rounding error.
 *
 * Walks use distances of their own: COSINE 1 − cos, L2 half the squared distance, IP centre² − product, which loses no
 * digits to a large centre. With the norms of x the first two are (norm² + norm²) / 2 − product of x's.
 */
#pragma once
#include <atomic>
#include <memory>

#include "kernels.h"

namespace vstore {

enum class Metric : uint32_t { cosine = 1, l2 = 2, ip = 3 };
enum class Quantization : uint32_t { int8 = 1, f16 = 2, f32 = 3 };

/** The head of a code; its components follow. */
struct Code {
  float scale;
  /** Of x. */
  float norm;
  /** ε / √dimensions, and what arithmetic adds. */
  float noise;
  /** x · centre / norm, under IP only. */
  float along;
  /** Of the row: equal rows have equal hashes. */
  uint32_t hash;

  template <class T>
  const T* components() const {
    return reinterpret_cast<const T*>(this + 1);
  }
  template <class T>
  T* components() {
    return reinterpret_cast<T*>(this + 1);
  }
};
static_assert(sizeof(Code) == 20, "a node of 100 bytes of components fills two cache lines");

/** What an estimate needs of the code that all others are compared with. */
struct Origin {
  const Code& code;
  double scale, norm, noise, halfSquare, along;
  /** Gaps below it may be unsure. */
  double unsureMax;
  /** No bound is larger. */
  double boundMax;
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

  /** Writes the code of a vector (dimensions), without its hash. */
  void encode(const float* vector, Code& code) const;
  Origin origin(const Code& code) const;
  /** The sum of the products of components. */
  float dot(const Code& a, const Code& b) const;
  /** Notes a code that others are compared with from now on. */
  void note(const Code& code);
  Estimate estimate(const Origin& a, const Code& b) const;
  /** Whether the two lie so close that the error hides their distance. */
  bool isUnsure(const Origin& a, const Code& b, double gap) const { return gap < unsureErrors * errorOf(a, b); }
  /** How far off the estimate of a distance may be, hardly ever more. */
  double bound(const Origin& a, const Code& b) const { return boundErrors * errorOf(a, b); }

 private:
  /** About the standard deviation of the error. */
  double errorOf(const Origin& a, const Code& b) const { return a.noise * b.norm + a.norm * b.noise; }
  double quantise(const std::vector<double>& x, double largest, Code& code) const;

  const Kernels& kernels_;
  const size_t bytes_;
  std::vector<float> centre_;
  std::atomic<bool> isCentred_{false};
  /** The largest of all codes. */
  std::atomic<float> normMax_{0}, noiseMax_{0};
  double centreSquare_ = 0;
  /** What the rounding of `along` adds to the noise of a code that others are compared with; 0 where there is none. */
  double centreNoise_ = 0;

  /** An error hardly ever exceeds so many standard deviations. */
  static constexpr double boundErrors = 3;
  /** Below so many of them the distance of two vectors is not known well enough. */
  static constexpr double unsureErrors = 8;
};

inline float CodeSpace::dot(const Code& a, const Code& b) const {
  const size_t n = dimensions;
  switch (quantization) {
    case Quantization::int8:
      return static_cast<float>(kernels_.dotInt8(a.components<int8_t>(), b.components<int8_t>(), n));
    case Quantization::f16:
      return kernels_.dotHalf(a.components<Half>(), b.components<Half>(), n);
    default:
      return kernels_.dotFloat(a.components<float>(), b.components<float>(), n);
  }
}

inline Estimate CodeSpace::estimate(const Origin& a, const Code& b) const {
  const double norm = b.norm;
  const double product = a.scale * b.scale * dot(a.code, b);
  const double gap = a.halfSquare + norm * norm * 0.5 - product;
  return {metric == Metric::ip ? -(product + a.along + norm * b.along) : gap, gap};
}

}  // namespace vstore

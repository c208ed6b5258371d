/**
 * Codes: what the graph keeps of a vector to find its way, smaller than the vector itself. Distances between codes
 * only have to put candidates into about the right order; those that are shown are computed from the rows.
 *
 * INT8 has one scale per vector, so that a component is code · scale. Under COSINE vectors are normalised first.
 */
#pragma once
#include "kernels.h"

namespace vstore {

enum class Metric : uint32_t { cosine = 1, l2 = 2, ip = 3 };
enum class Quantization : uint32_t { int8 = 1, f16 = 2, f32 = 3 };

/** The head of a code; its components follow. */
struct Code {
  float scale;
  /** Σ (code · scale)². */
  float square;

  template <class T>
  const T* components() const {
    return reinterpret_cast<const T*>(this + 1);
  }
  template <class T>
  T* components() {
    return reinterpret_cast<T*>(this + 1);
  }
};

class CodeSpace {
 public:
  CodeSpace(uint32_t dimensions, Metric metric, Quantization quantization);

  /** Of one code, head included. */
  size_t bytes() const { return bytes_; }
  /** Writes the code of a vector (dimensions). */
  void encode(const float* vector, Code& code) const;
  /** Smaller is nearer; comparable with other distances of this space only. */
  float distance(const Code& a, const Code& b) const;

 private:
  void encodeInt8(const float* vector, double factor, Code& code) const;

  const Kernels& kernels_;
  const uint32_t dimensions_;
  const Metric metric_;
  const Quantization quantization_;
  const size_t bytes_;
};

inline float CodeSpace::distance(const Code& a, const Code& b) const {
  const size_t n = dimensions_;
  const bool l2 = metric_ == Metric::l2;
  switch (quantization_) {
    case Quantization::int8: {
      const auto dot = static_cast<float>(kernels_.dotInt8(a.components<int8_t>(), b.components<int8_t>(), n));
      const float product = a.scale * b.scale * dot;
      return l2 ? a.square + b.square - 2 * product : -product;
    }
    case Quantization::f16: {
      const Half *x = a.components<Half>(), *y = b.components<Half>();
      return l2 ? kernels_.squareHalf(x, y, n) : -kernels_.dotHalf(x, y, n);
    }
    default: {
      const float *x = a.components<float>(), *y = b.components<float>();
      return l2 ? kernels_.squareFloat(x, y, n) : -kernels_.dotFloat(x, y, n);
    }
  }
}

}  // namespace vstore

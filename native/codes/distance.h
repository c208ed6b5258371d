/**
 * The distances that are shown: COSINE 1 − cos, L2 the Euclidean distance, IP 1 − dot, in float64 from float32 rows.
 * The graph's results and exact scans both come through here, so that they agree to the last bit.
 */
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "codes/codes.h"

namespace vstore {

class DistanceTo {
 public:
  /** @param query is kept by the caller */
  DistanceTo(const float* query, uint32_t dimensions, Metric metric)
      : kernels_(fastestKernels()),
        metric_(metric),
        rounded_(query),
        query_(query, query + dimensions),
        error_((dimensions + 4) * unitRoundoff) {
    // By the kernel that sums up rows, so that a vector and itself have the same square to the last bit.
    square_ = kernels_.products(query_.data(), query, dimensions).square;
    norm_ = std::sqrt(square_);
  }

  double operator()(const float* row) const {
    const double distance = raw(row);
    return std::isnan(distance) ? std::numeric_limits<double>::infinity() : distance;
  }

  /** The same as walks use it (codes.h), but for the constant of IP. */
  double walking(const float* row) const {
    if (metric_ == Metric::l2) return kernels_.squareExact(query_.data(), row, query_.size()) / 2;
    return walkingOf(metric_ == Metric::cosine ? cosine(row) : raw(row));
  }
  /** Of a distance that is shown. */
  double walkingOf(double shown) const {
    if (metric_ == Metric::l2) return shown * shown / 2;
    return metric_ == Metric::ip ? shown - 1 : shown;
  }

  /**
   * A lower bound of the distance, at half the cost: from sums of float32, less several times their largest error
   * (Higham 2002, section 3.1). Unknown where such sums overflow or come near the smallest numbers.
   */
  double atLeast(const float* row) const {
    if (metric_ == Metric::l2) {
      const double square = kernels_.squareFloat(rounded_, row, query_.size());
      return isUsual(square) ? std::sqrt(square * (1 - 4 * error_)) : unknown;
    }
    const Products sums = kernels_.productsFloat(rounded_, row, query_.size());
    const double norms = norm_ * std::sqrt(sums.square);
    if (!isUsual(sums.square) || !isUsual(norms) || !std::isfinite(sums.dot)) return unknown;
    return metric_ == Metric::ip ? 1 - sums.dot - 4 * error_ * norms : 1 - sums.dot / norms - 4 * error_;
  }

 private:
  double raw(const float* row) const {
    if (metric_ == Metric::l2) return std::sqrt(kernels_.squareExact(query_.data(), row, query_.size()));
    if (metric_ == Metric::cosine) return cosine(row);
    return 1 - kernels_.products(query_.data(), row, query_.size()).dot;
  }

  /** The root of a square is exact, so a vector is at distance 0 from itself: dot and both squares are one number. */
  double cosine(const float* row) const {
    const Products sums = kernels_.products(query_.data(), row, query_.size());
    const double distance = 1 - sums.dot / std::sqrt(square_ * sums.square);
    // Rounding may put the cosine of two vectors of the same direction a little above 1.
    return distance < 0 ? 0 : distance;
  }

  static constexpr double unitRoundoff = 0x1p-24;
  static constexpr double unknown = -std::numeric_limits<double>::infinity();
  static bool isUsual(double sum) { return sum > 1e-30 && sum < 1e30; }

  const Kernels& kernels_;
  const Metric metric_;
  const float* const rounded_;
  const std::vector<double> query_;
  /** Of a sum of float32, relative to the sum of the magnitudes. */
  const double error_;
  double square_;
  double norm_;
};

}  // namespace vstore

/**
 * The distances that are shown: COSINE 1 − cos, L2 the Euclidean distance, IP 1 − dot, in float64 from float32 rows.
 * The graph's results and exact scans both come through here, so that they agree to the last bit.
 */
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "codes.h"

namespace vstore {

class DistanceTo {
 public:
  DistanceTo(const float* query, uint32_t dimensions, Metric metric)
      : kernels_(fastestKernels()), metric_(metric), query_(query, query + dimensions) {
    double square = 0;
    for (const double component : query_) square += component * component;
    norm_ = std::sqrt(square);
  }

  double operator()(const float* row) const {
    const double distance = raw(row);
    return std::isnan(distance) ? std::numeric_limits<double>::infinity() : distance;
  }

 private:
  double raw(const float* row) const {
    if (metric_ == Metric::l2) return std::sqrt(kernels_.squareExact(query_.data(), row, query_.size()));
    const Products sums = kernels_.products(query_.data(), row, query_.size());
    if (metric_ == Metric::ip) return 1 - sums.dot;
    // Rounding may put the cosine of a vector with itself a little above 1.
    const double distance = 1 - sums.dot / (norm_ * std::sqrt(sums.square));
    return distance < 0 ? 0 : distance;
  }

  const Kernels& kernels_;
  const Metric metric_;
  const std::vector<double> query_;
  double norm_;
};

}  // namespace vstore

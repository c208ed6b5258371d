/** The stages of a rotation. */
#include "codes/rotation.h"

#include <cmath>

#include "mix.h"

namespace vstore {
namespace {

/** After the first a vector of one large component has components of two magnitudes, and other lengths are uneven. */
constexpr size_t rounds = 3;

/** The pairs of the two halves become their sum and difference; of an odd number the last goes to the front. */
void stage(const double* from, double* to, size_t n) {
  const size_t half = n / 2;
  if (n % 2 == 1) *to++ = from[n - 1];
  for (size_t i = 0; i < half; i++) {
    const double a = from[i] * M_SQRT1_2, b = from[half + i] * M_SQRT1_2;
    to[2 * i] = a + b;
    to[2 * i + 1] = a - b;
  }
}

}  // namespace

Rotation::Rotation(size_t n) : stages_(static_cast<size_t>(std::ceil(std::log2(n)))) {
  for (size_t i = 0; i < rounds * n; i++) signs_.push_back(mix(i) & 1 ? 1 : -1);
}

void Rotation::apply(std::vector<double>& x) const {
  thread_local std::vector<double> other;
  const size_t n = x.size();
  other.resize(n);
  for (size_t from = 0; from < signs_.size(); from += n) {
    for (size_t i = 0; i < n; i++) x[i] *= signs_[from + i];
    for (size_t i = 0; i < stages_; i++) {
      stage(x.data(), other.data(), n);
      x.swap(other);
    }
  }
}

}  // namespace vstore

/**
 * A rotation that looks random: it makes all components of a vector about equally large, and normally distributed,
 * whatever the vector is. Then a few bits of each hold most of its information, and their error depends on chance
 * alone.
 *
 * Random signs, then the fast Walsh-Hadamard transform (Ailon & Chazelle 2009), several times over. It is written as
 * Pease (1968) does: each stage adds and subtracts the two halves and interleaves the results. So it serves every
 * length; where that is no power of two, the result is no Hadamard matrix, but as orthogonal. The signs follow from the
 * length: nothing has to be kept.
 */
#pragma once
#include <cstddef>
#include <vector>

namespace vstore {

class Rotation {
 public:
  explicit Rotation(size_t n);
  /** Rotates x, of shape (n). */
  void apply(std::vector<double>& x) const;

 private:
  size_t stages_;
  /** 1 or -1, shape (rounds x n). */
  std::vector<double> signs_;
};

}  // namespace vstore

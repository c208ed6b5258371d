/** The results of all kernels of a set for two vectors, for the tests that compare the sets. */
#pragma once
#include "kernels.h"

namespace vstore {

/**
 * Nine results, of vectors of n components from -1 to 1: the first is exact, those from the seventh on are sums of
 * float64.
 */
inline std::vector<double> kernelResults(const Kernels& kernels, const float* a, const float* b, size_t n) {
  std::vector<int8_t> int8A(n), int8B(n);
  std::vector<Half> halfA(n), halfB(n);
  for (size_t i = 0; i < n; i++) {
    int8A[i] = static_cast<int8_t>(a[i] * 127);
    int8B[i] = static_cast<int8_t>(b[i] * 127);
    halfA[i] = toHalf(a[i]);
    halfB[i] = toHalf(b[i]);
  }
  const std::vector<double> query(a, a + n);
  const Products rounded = kernels.productsFloat(a, b, n);
  const Products products = kernels.products(query.data(), b, n);
  return {
      static_cast<double>(kernels.dotInt8(int8A.data(), int8B.data(), n)),
      kernels.dotHalf(halfA.data(), halfB.data(), n),
      kernels.dotFloat(a, b, n),
      kernels.squareFloat(a, b, n),
      rounded.dot,
      rounded.square,
      products.dot,
      products.square,
      kernels.squareExact(query.data(), b, n),
  };
}

}  // namespace vstore

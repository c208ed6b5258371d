/** The results of all kernels of a set for two vectors, for the tests that compare the sets. */
#pragma once
#include <algorithm>
#include <iterator>

#include "codes/kernels.h"

namespace vstore {

/**
 * Thirteen results, of vectors of n components from -1 to 1: the first four are exact, the three before the last are
 * sums of float64, all others of float32. The second to fourth are of components of a in 8 bits, and of b in 4, 2 and 1.
 * The last is of a with seven codes.
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
  const auto packed = [&](PackedDot kernel, unsigned bits) {
    const size_t bytes = (n * bits + 7) / 8;
    std::vector<int8_t> padded(bytes * 8 / bits);
    std::copy(int8A.begin(), int8A.end(), padded.begin());
    std::vector<uint8_t> fields(bytes);
    for (size_t i = 0; i < n; i++) {
      const int field = static_cast<int>((b[i] + 1) / 2 * static_cast<float>((1 << bits) - 1) + 0.5f);
      fields[i % bytes] |= static_cast<uint8_t>(field << i / bytes * bits);
    }
    return static_cast<double>(kernel(padded.data(), fields.data(), bytes));
  };
  // Of seven codes, whose heads differ, those that are nearer than most.
  const auto near = [&] {
    constexpr size_t count = 7;
    const size_t stride = (sizeof(Code) + n + 63) / 64 * 64;
    std::vector<std::byte> memory(count * stride);
    const Code* codes[count];
    for (size_t i = 0; i < count; i++) {
      Code& code = *reinterpret_cast<Code*>(memory.data() + i * stride);
      const auto part = static_cast<float>(i);
      code.scale = (part - 3) / 127 / static_cast<float>(n);
      code.norm = 1 + part / 10;
      code.noise = part / 100;
      std::copy(i % 2 ? int8A.begin() : int8B.begin(), i % 2 ? int8A.end() : int8B.end(), code.components<int8_t>());
      codes[i] = &code;
    }
    NearInt8 found[count];
    const Int8Aim aim{int8A.data(), n, 0.5f, 1.f / 127, 0.01f, 1};
    const size_t kept = kernels.nearInt8(aim, codes, count, 1.2f, found);
    double sum = 100.0 * static_cast<double>(kept);
    for (size_t i = 0; i < kept; i++) sum += (found[i].at + 1) * (found[i].distance + 3.0 * found[i].least);
    return sum;
  };
  const std::vector<double> query(a, a + n);
  const Products rounded = kernels.productsFloat(a, b, n);
  const Products products = kernels.products(query.data(), b, n);
  return {
      static_cast<double>(kernels.dotInt8(int8A.data(), int8B.data(), n)),
      packed(kernels.dotInt4, 4),
      packed(kernels.dotInt2, 2),
      packed(kernels.dotBin, 1),
      kernels.dotHalf(halfA.data(), halfB.data(), n),
      kernels.dotFloat(a, b, n),
      kernels.squareFloat(a, b, n),
      rounded.dot,
      rounded.square,
      products.dot,
      products.square,
      kernels.squareExact(query.data(), b, n),
      near(),
  };
}

}  // namespace vstore

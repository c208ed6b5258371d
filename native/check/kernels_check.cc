/**
 * Compares every set of kernels that this CPU can run with the plain one, without Node: `make -C native neon` runs it
 * for another CPU than this machine's. It ends with 0 when all agree.
 */
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "codes/kernel_results.h"

namespace {

using namespace vstore;

constexpr size_t lengthMax = 140;
constexpr size_t longer[] = {768, 784, 1536, 16'384};
constexpr size_t exactResults = 4;
constexpr size_t firstExactSum = 9, lastExactSum = 11;

std::mt19937 generator;

std::vector<float> randomVector(size_t n) {
  std::uniform_real_distribution<float> component(-1, 1);
  std::vector<float> vector(n);
  for (float& each : vector) each = component(generator);
  return vector;
}

/** Sums of n terms, each of at most 4. */
double toleranceOf(size_t result, size_t n) {
  if (result < exactResults) return 0;
  const bool isExactSum = result >= firstExactSum && result <= lastExactSum;
  return (isExactSum ? 1e-13 : 1e-5) * static_cast<double>(n);
}

bool agree(const Kernels& kernels, size_t n) {
  const std::vector<float> a = randomVector(n), b = randomVector(n);
  const auto expected = kernelResults(plainKernels, a.data(), b.data(), n);
  const auto results = kernelResults(kernels, a.data(), b.data(), n);
  for (size_t i = 0; i < results.size(); i++) {
    if (std::fabs(results[i] - expected[i]) <= toleranceOf(i, n)) continue;
    std::printf("%s, result %zu of length %zu: %.17g, plain %.17g\n", kernels.name, i, n, results[i], expected[i]);
    return false;
  }
  return true;
}

bool agreeAtEveryLength(const Kernels& kernels) {
  bool all = true;
  for (size_t n = 1; n <= lengthMax; n++) all &= agree(kernels, n);
  for (const size_t n : longer) all &= agree(kernels, n);
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  generator.seed(argc > 1 ? static_cast<uint32_t>(std::atoi(argv[1])) : 1);
  bool all = true;
  for (const Kernels* kernels : supportedKernels()) {
    const bool right = agreeAtEveryLength(*kernels);
    std::printf("%s: %s\n", kernels->name, right ? "right" : "WRONG");
    all &= right;
  }
  return all ? 0 : 1;
}

/** Encoding of vectors. */
#include "codes.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

namespace vstore {
namespace {

constexpr double int8Largest = 127;
/** Relative to the norm: the rounding of the head, and of sums of float32. */
constexpr double arithmetic = 0x1p-22;
/** Norms from here to there are precise as float32, and so are scales. */
constexpr double normMin = 1e-34, normMax = 1e37;
/** Fewer vectors do not determine a centre. */
constexpr size_t centreVectorsMin = 64;

size_t componentBytes(Quantization quantization) {
  switch (quantization) {
    case Quantization::int8:
      return sizeof(int8_t);
    case Quantization::f16:
      return sizeof(Half);
    default:
      return sizeof(float);
  }
}

double squareOf(const float* vector, size_t n) {
  double square = 0;
  for (size_t i = 0; i < n; i++) square += static_cast<double>(vector[i]) * vector[i];
  return square;
}

/** The factor of a vector: 1 / its length under COSINE, 1 for a vector without direction. */
double factorOf(const float* vector, size_t n, Metric metric) {
  if (metric != Metric::cosine) return 1;
  const double square = squareOf(vector, n);
  return square > 0 ? 1 / std::sqrt(square) : 1;
}

float toFloat(double value) { return static_cast<float>(std::clamp<double>(value, -FLT_MAX, FLT_MAX)); }

}  // namespace

CodeSpace::CodeSpace(uint32_t dimensionsGiven, Metric metricGiven, Quantization quantizationGiven)
    : metric(metricGiven),
      quantization(quantizationGiven),
      dimensions(dimensionsGiven),
      kernels_(fastestKernels()),
      bytes_(sizeof(Code) + dimensionsGiven * componentBytes(quantizationGiven)) {}

void CodeSpace::setCentre(std::vector<float> centre) {
  centre_ = std::move(centre);
  isCentred_ = !centre_.empty();
  centreSquare_ = squareOf(centre_.data(), centre_.size());
  if (metric == Metric::ip) centreNoise_ = std::sqrt(centreSquare_) * arithmetic;
}

/** The median of each component: a few vectors far away do not move it. */
std::vector<float> CodeSpace::centreOf(const std::vector<const float*>& vectors) const {
  if (vectors.size() < centreVectorsMin) return {};
  std::vector<double> factors;
  for (const float* vector : vectors) factors.push_back(factorOf(vector, dimensions, metric));
  std::vector<float> centre(dimensions), column(vectors.size());
  const auto middle = column.begin() + static_cast<std::ptrdiff_t>(column.size() / 2);
  for (size_t i = 0; i < dimensions; i++) {
    for (size_t at = 0; at < column.size(); at++) column[at] = static_cast<float>(vectors[at][i] * factors[at]);
    std::nth_element(column.begin(), middle, column.end());
    centre[i] = *middle;
  }
  return centre;
}

Origin CodeSpace::origin(const Code& code) const {
  const double norm = code.norm;
  const double noise = code.noise + centreNoise_;
  const double errorMax = noise * normMax_.load(std::memory_order_relaxed) + norm * noiseMax_.load(std::memory_order_relaxed);
  return {code, code.scale, norm, noise, norm * norm / 2, norm * code.along, unsureErrors * errorMax, boundErrors * errorMax};
}

void CodeSpace::note(const Code& code) {
  const auto raise = [](std::atomic<float>& max, float value) {
    float before = max.load(std::memory_order_relaxed);
    while (before < value && !max.compare_exchange_weak(before, value)) {
    }
  };
  raise(normMax_, code.norm);
  raise(noiseMax_, code.noise);
}

void CodeSpace::encode(const float* vector, Code& code) const {
  thread_local std::vector<double> x;
  x.assign(vector, vector + dimensions);
  const double factor = factorOf(vector, dimensions, metric);
  double square = 0, along = 0, largest = 0;
  for (size_t i = 0; i < dimensions; i++) {
    const double centre = centre_.empty() ? 0 : centre_[i];
    x[i] = x[i] * factor - centre;
    square += x[i] * x[i];
    along += x[i] * centre;
    largest = std::max(largest, std::fabs(x[i]));
  }
  const double norm = std::sqrt(square);
  // A vector that is not finite is far from everything.
  const bool isNumber = std::isfinite(norm);
  if (!isNumber) std::fill(x.begin(), x.end(), 0);
  const double error = quantise(x, isNumber ? largest : 0, code);
  const bool isPrecise = isNumber && (norm == 0 || (norm >= normMin && norm <= normMax));
  const double noise = isPrecise ? error / std::sqrt(dimensions) + norm * arithmetic : std::max(norm, normMin);
  code.norm = isNumber ? toFloat(norm) : FLT_MAX;
  code.noise = isNumber ? toFloat(noise) : 0;
  code.along = metric == Metric::ip && norm > 0 && isNumber ? toFloat(along / norm) : 0;
}

/** Writes components and scale of x, whose largest component is given; returns the length of the rounding error. */
double CodeSpace::quantise(const std::vector<double>& x, double largest, Code& code) const {
  const double steps = (quantization == Quantization::int8 ? int8Largest : 1) / (largest == 0 ? 1 : largest);
  double square = 0, along = 0, codeSquare = 0;
  for (size_t i = 0; i < dimensions; i++) {
    double rounded = x[i] * steps;
    switch (quantization) {
      case Quantization::int8:
        rounded = std::clamp(std::nearbyint(rounded), -int8Largest, int8Largest);
        code.components<int8_t>()[i] = static_cast<int8_t>(rounded);
        break;
      case Quantization::f16:
        code.components<Half>()[i] = toHalf(static_cast<float>(rounded));
        rounded = vstore::toFloat(code.components<Half>()[i]);
        break;
      case Quantization::f32:
        code.components<float>()[i] = static_cast<float>(rounded);
        rounded = code.components<float>()[i];
    }
    square += x[i] * x[i];
    along += rounded * x[i];
    codeSquare += rounded * rounded;
  }
  const double scale = along > 0 ? square / along : 0;
  code.scale = toFloat(scale);
  return std::sqrt(std::max(0.0, scale * scale * codeSquare - square));
}

}  // namespace vstore

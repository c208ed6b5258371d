/** Encoding of vectors. */
#include "codes/codes.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <numeric>

namespace vstore {
namespace {

constexpr double int8Largest = 127;
/** Relative to the norm: the rounding of the head, and of sums of float32. */
constexpr double arithmetic = 0x1p-22;
/** Norms from here to there are precise as float32, and so are scales. */
constexpr double normMin = 1e-34, normMax = 1e37;
/** Fewer vectors do not determine a centre. */
constexpr size_t centreVectorsMin = 64;
/** An outlier is so many times as long as the median. */
constexpr float outlierFactor = 8;

unsigned packedBitsOf(Quantization quantization) {
  switch (quantization) {
    case Quantization::int4:
      return 4;
    case Quantization::int2:
      return 2;
    case Quantization::bin:
      return 1;
    default:
      return 0;
  }
}

size_t componentBytesOf(Quantization quantization, size_t n) {
  switch (quantization) {
    case Quantization::int8:
      return n * sizeof(int8_t);
    case Quantization::f16:
      return n * sizeof(Half);
    case Quantization::f32:
      return n * sizeof(float);
    default:
      return (n * packedBitsOf(quantization) + 7) / 8;
  }
}

/** The step at which 16 or 4 levels lose least of a normal number, in its standard deviations (Max 1960). */
double stepOf(Quantization quantization) { return quantization == Quantization::int4 ? 0.3352 : 0.9957; }

/** The nearest whole number, even ones first, of a magnitude below 2^51: without a call, which a loop of them feels. */
double roundedOf(double value) {
  constexpr double shift = 0x1.8p52;
  return value + shift - shift;
}

/** The level of a field: levels are odd numbers, half of them negative. */
int8_t unpacked(int field, int largest) { return static_cast<int8_t>(2 * field - largest); }

int32_t sumOf(const void* components, size_t n) {
  const auto ints = static_cast<const int8_t*>(components);
  return std::accumulate(ints, ints + n, 0);
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

struct CodeSpace::Ready {
  /** Shape (dimensions), of the thread; zeros where it is not a number. */
  const std::vector<double>& x;
  double norm, along, largest;
};

CodeSpace::CodeSpace(uint32_t dimensionsGiven, Metric metricGiven, Quantization quantizationGiven)
    : metric(metricGiven),
      quantization(quantizationGiven),
      dimensions(dimensionsGiven),
      kernels_(fastestKernels()),
      packedBits_(packedBitsOf(quantizationGiven)),
      componentBytes_(componentBytesOf(quantizationGiven, dimensionsGiven)),
      bytes_(sizeof(Code) + componentBytes_) {
  if (isPacked()) rotation_.emplace(dimensionsGiven);
}

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

float CodeSpace::outlierNormOf(const std::vector<const float*>& vectors) const {
  constexpr float none = std::numeric_limits<float>::infinity();
  if (metric != Metric::ip || vectors.size() < centreVectorsMin) return none;
  std::vector<float> norms;
  for (const float* vector : vectors) {
    const double norm = readyOf(vector).norm;
    norms.push_back(std::isnan(norm) ? none : static_cast<float>(norm));
  }
  const auto middle = norms.begin() + static_cast<std::ptrdiff_t>(norms.size() / 2);
  std::nth_element(norms.begin(), middle, norms.end());
  // Where most are in one place, all others would be outliers.
  return *middle > 0 ? *middle * outlierFactor : none;
}

Origin CodeSpace::originOf(const Code& head, const void* components) const {
  Origin origin;
  origin.scale = head.scale;
  origin.norm = head.norm;
  origin.noise = head.noise + centreNoise_;
  origin.halfSquare = origin.norm * origin.norm / 2;
  origin.along = origin.norm * head.along;
  const double normMax = normMax_.load(std::memory_order_relaxed), noiseMax = noiseMax_.load(std::memory_order_relaxed);
  const double errorMax = origin.noise * normMax + origin.norm * noiseMax;
  origin.unsureMax = unsureErrors * errorMax;
  origin.boundMax = boundErrors * errorMax;
  origin.components = components;
  return origin;
}

Origin CodeSpace::originOf(const float* vector) const {
  std::vector<std::byte> memory(isPacked() ? fields() : bytes_);
  Code head;
  if (isPacked()) {
    writeInt8(readyOf(vector), head, reinterpret_cast<int8_t*>(memory.data()));
  } else {
    Code& code = *reinterpret_cast<Code*>(memory.data());
    encode(vector, code);
    head = code;
  }
  Origin origin = originOf(head, memory.data() + (isPacked() ? 0 : sizeof(Code)));
  origin.memory = std::move(memory);
  origin.sum = isPacked() ? sumOf(origin.components, dimensions) : 0;
  return origin;
}

Origin CodeSpace::originOf(const Code& code) const {
  if (!isPacked()) return originOf(code, code.components<std::byte>());
  std::vector<std::byte> memory(fields());
  auto components = reinterpret_cast<int8_t*>(memory.data());
  const auto bytes = code.components<uint8_t>();
  const int largest = (1 << packedBits_) - 1;
  for (unsigned shift = 0, at = 0; shift < 8; shift += packedBits_) {
    for (size_t i = 0; i < componentBytes_; i++) components[at++] = unpacked(bytes[i] >> shift & largest, largest);
  }
  std::fill(components + dimensions, components + fields(), 0);
  Origin origin = originOf(code, components);
  origin.memory = std::move(memory);
  origin.sum = sumOf(components, dimensions);
  return origin;
}

void CodeSpace::noteLargest(float norm, float noise) {
  const auto raise = [](std::atomic<float>& max, float value) {
    float before = max.load(std::memory_order_relaxed);
    while (before < value && !max.compare_exchange_weak(before, value)) {
    }
  };
  raise(normMax_, norm);
  raise(noiseMax_, noise);
}

CodeSpace::Ready CodeSpace::readyOf(const float* vector) const {
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
  if (!std::isfinite(norm)) {
    std::fill(x.begin(), x.end(), 0);
    largest = 0;
  } else if (rotation_) {
    rotation_->apply(x);
    largest = 0;
    for (const double component : x) largest = std::max(largest, std::fabs(component));
  }
  return {x, norm, along, largest};
}

void CodeSpace::encode(const float* vector, Code& code) const {
  const Ready ready = readyOf(vector);
  const double steps = ready.largest == 0 ? 1 : 1 / ready.largest;
  switch (quantization) {
    case Quantization::int8:
      return writeInt8(ready, code, code.components<int8_t>());
    case Quantization::f16:
      return write(ready, steps, code, [halves = code.components<Half>()](size_t i, double component) {
        halves[i] = toHalf(static_cast<float>(component));
        return static_cast<double>(vstore::toFloat(halves[i]));
      });
    case Quantization::f32:
      return write(ready, steps, code, [floats = code.components<float>()](size_t i, double component) {
        floats[i] = static_cast<float>(component);
        return static_cast<double>(floats[i]);
      });
    default:
      return writePacked(ready, code);
  }
}

void CodeSpace::writeInt8(const Ready& ready, Code& head, int8_t* components) const {
  const double steps = int8Largest / (ready.largest == 0 ? 1 : ready.largest);
  write(ready, steps, head, [components](size_t i, double component) {
    const double rounded = std::clamp(roundedOf(component), -int8Largest, int8Largest);
    components[i] = static_cast<int8_t>(rounded);
    return rounded;
  });
}

/** A byte holds components that are `componentBytes_` apart, so that each field of adjacent bytes is a run of them. */
void CodeSpace::writePacked(const Ready& ready, Code& code) const {
  const auto bytes = code.components<uint8_t>();
  const int largest = (1 << packedBits_) - 1;
  const double deviation = ready.norm / std::sqrt(dimensions);
  const double steps = ready.largest == 0 ? 1 : 1 / (stepOf(quantization) * deviation);
  std::fill(bytes, bytes + componentBytes_, 0);
  write(ready, steps, code, [=](size_t i, double component) {
    const int field = static_cast<int>(std::clamp<double>(std::floor(component + (largest + 1) / 2), 0, largest));
    bytes[i % componentBytes_] |= static_cast<uint8_t>(field << i / componentBytes_ * packedBits_);
    return static_cast<double>(unpacked(field, largest));
  });
}

/**
 * Writes a code. `round(i, component in steps)` stores a component and returns its level, in a unit that is the same
 * for all.
 */
template <class Round>
void CodeSpace::write(const Ready& ready, double steps, Code& head, const Round& round) const {
  double square = 0, along = 0, codeSquare = 0;
  for (size_t i = 0; i < dimensions; i++) {
    const double x = ready.x[i], rounded = round(i, x * steps);
    square += x * x;
    along += rounded * x;
    codeSquare += rounded * rounded;
  }
  const double scale = along > 0 ? square / along : 0;
  const double error = std::sqrt(std::max(0.0, scale * scale * codeSquare - square));
  // A vector that is not finite is far from everything.
  const double norm = ready.norm;
  const bool isNumber = std::isfinite(norm);
  const bool isPrecise = isNumber && (norm == 0 || (norm >= normMin && norm <= normMax));
  const double noise = isPrecise ? error / std::sqrt(dimensions) + norm * arithmetic : std::max(norm, normMin);
  head.scale = toFloat(scale);
  head.norm = isNumber ? toFloat(norm) : FLT_MAX;
  head.noise = isNumber ? toFloat(noise) : 0;
  head.along = metric == Metric::ip && norm > 0 && isNumber ? toFloat(ready.along / norm) : 0;
}

}  // namespace vstore

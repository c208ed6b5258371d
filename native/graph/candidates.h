/** A candidate of a walk through the graph: a node and its distance. */
#pragma once
#include <algorithm>
#include <cstring>

#include "graph/nodes.h"

namespace vstore {

/**
 * A node and its distance in one number that sorts by distance, then by slot. The distance keeps 22 bits of its
 * mantissa and 9 of its exponent, so squares of any float32 fit; NaN comes last, so that the order is total.
 */
using Candidate = uint64_t;
/** Beyond any candidate. */
constexpr Candidate noCandidate = ~Candidate{0};

constexpr uint64_t signOfDouble = 1ull << 63;
/** What the exponents of a double and of a key differ by: 1023 - 255, in place. */
constexpr int64_t exponentOffset = 768ll << 52;
constexpr unsigned droppedBits = 30;

inline Candidate makeCandidate(double distance, Slot slot) {
  uint64_t bits;
  std::memcpy(&bits, &distance, sizeof bits);
  const int64_t shifted = static_cast<int64_t>(bits & ~signOfDouble) - exponentOffset;
  const int64_t magnitude = std::clamp<int64_t>(shifted >> droppedBits, 0, 0x7fffffff);
  const auto sign = static_cast<int64_t>(bits) >> 63;
  const auto key = static_cast<uint32_t>(magnitude ^ sign) ^ 0x80000000u;
  return static_cast<uint64_t>(key) << 32 | slot;
}
/** The same of a positive float, which is quicker: only its exponent has to be made one of nine bits. */
inline Candidate makeCandidate(float distance, Slot slot) {
  uint32_t bits;
  std::memcpy(&bits, &distance, sizeof bits);
  return static_cast<uint64_t>((bits >> 1) + 0xa0000000u) << 32 | slot;
}
inline Slot slotOf(Candidate candidate) { return static_cast<Slot>(candidate); }
/** The distance, without the bits that were dropped. */
inline double distanceOf(Candidate candidate) {
  const auto key = static_cast<uint32_t>(candidate >> 32) ^ 0x80000000u;
  const bool isNegative = key >> 31;
  const uint64_t magnitude = isNegative ? ~key & 0x7fffffff : key;
  if (magnitude == 0) return 0;
  const uint64_t bits = (magnitude << droppedBits) + static_cast<uint64_t>(exponentOffset);
  double distance;
  std::memcpy(&distance, &bits, sizeof distance);
  return isNegative ? -distance : distance;
}
inline Candidate withSlot(Candidate candidate, Slot slot) { return candidate >> 32 << 32 | slot; }
/** By distance alone. */
inline bool isNearer(Candidate a, Candidate b) { return a >> 32 < b >> 32; }

}  // namespace vstore

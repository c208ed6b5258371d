/**
 * What a walk measures from: a vector with what codes are compared with, and the rows of all others for where codes are
 * not enough.
 */
#pragma once
#include <optional>

#include "codes/distance.h"
#include "graph/kept.h"
#include "graph/rows.h"

namespace vstore {

class Probe {
 public:
  /**
   * All are kept by the caller.
   *
   * @param exact distances from the vector, where they are there already
   * @param coldRows rows may have to be read from the disk
   */
  Probe(const CodeSpace& space, const Nodes& nodes, const Rows& rows, const float* vector, Origin origin,
        const DistanceTo* exact = nullptr, bool coldRows = false)
      : given_(exact), space_(space), nodes_(nodes), rows_(rows), vector_(vector), origin_(std::move(origin)),
        isQuick_(space.metric == Metric::cosine),
        hasCoarseCodes_(space.isPacked() && space.metric != Metric::cosine),
        scale_(static_cast<float>(origin_.scale)),
        halfSquare_(static_cast<float>(origin_.halfSquare)),
        unsureMax_(static_cast<float>(origin_.unsureMax)),
        rowsAreCold_(coldRows) {}

  Candidate candidate(Slot slot) {
    if (__builtin_expect(!isQuick_, false)) return makeCandidate(distance(slot), slot);
    const Code& code = nodes_.code(slot);
    return quickCandidate(slot, code, space_.dot(origin_, code));
  }
  /** A slot and the least and the largest distance that it may have. */
  struct Range {
    Slot slot;
    double least, most;
  };
  static constexpr size_t rangesMax = 512;
  /**
   * Calls `visit(range)` for those of several slots that may be no farther than `limit`, in order. Only codes are asked.
   *
   * @param count at most rangesMax
   */
  template <class Visit>
  void forNear(const Slot* slots, const Code* const* codes, size_t count, double limit, const Visit& visit) const {
    if (space_.isQuick()) {
      NearInt8 near[rangesMax];
      const size_t kept = space_.near(origin_, codes, count, limit, near);
      for (size_t i = 0; i < kept; i++) {
        const double least = near[i].least, distance = near[i].distance;
        visit(Range{slots[near[i].at], least, 2 * distance - least});
      }
      return;
    }
    for (size_t i = 0; i < count; i++) {
      if (i + codesAhead < count) prefetchLines(codes[i + codesAhead], nodes_.codeStride());
      const double distance = space_.estimate(origin_, *codes[i]).distance;
      const double bound = droppedOf(distance) + space_.usualBound(origin_, *codes[i]);
      if (!(distance - bound > limit)) visit(Range{slots[i], distance - bound, distance + bound});
    }
  }
  /** The same of any slot. A twin has no code of its own. */
  Range rangeOf(Slot slot, bool isTwin) {
    const double distance = isTwin ? exact(slot) : space_.estimate(origin_, nodes_.code(slot)).distance;
    const double bound = droppedOf(distance) + (isTwin ? 0 : space_.usualBound(origin_, nodes_.code(slot)));
    return {slot, distance - bound, distance + bound};
  }
  Candidate candidateByRow(Slot slot) { return makeCandidate(exact(slot), slot); }

  /** By codes where they tell enough, else by the row. */
  double distance(Slot slot) {
    if (__builtin_expect(exactly_, false) && slot < rows_.end()) return exactIfThere(slot, 0);
    const Code& code = nodes_.code(slot);
    return sureDistance(slot, code, space_.dot(origin_, code));
  }

  /** From now on by rows alone. */
  void measureExactly() {
    exactly_ = true;
    isQuick_ = false;
  }
  bool measuresExactly() const { return exactly_; }
  /** Whether `candidate` computes in float32 where that suffices. */
  bool isQuick() const { return isQuick_; }

  /** The error that a candidate's distance may have; and that any candidate of that distance may have. */
  double bound(Candidate candidate) const {
    const double kept = droppedOf(distanceOf(candidate));
    const Code& code = nodes_.code(slotOf(candidate));
    return exactly_ || space_.isOutlier(code) ? kept : kept + space_.bound(origin_, code);
  }
  double boundMax(double distance) const { return droppedOf(distance) + (exactly_ ? 0 : origin_.boundMax); }

  /**
   * Where vectors are of many magnitudes, the errors of long ones hide them behind short ones, of which all is known.
   * This looks at three of those kept, a full heap, for `mayHide`: that most are short is what matters.
   */
  void lookAtKept(const std::vector<Candidate>& kept) {
    if (!hasCoarseCodes_ || exactly_) return;
    constexpr float muchLonger = 4;
    const size_t size = kept.size();
    const auto normAt = [&](size_t at) { return nodes_.code(slotOf(kept[at])).norm; };
    // Any leaves.
    const float a = normAt(size - 1), b = normAt(size - 1 - size / 4), c = normAt(size / 2);
    const float middle = std::max(std::min(a, b), std::min(std::max(a, b), c));
    longNorm_ = std::min(longNorm_, muchLonger * middle);
  }
  /** Whether a candidate that is farther than the last of those kept is much longer than them, and may be nearer. */
  bool mayHide(Candidate candidate, Candidate last) const {
    const Slot slot = slotOf(candidate);
    if (!hasCoarseCodes_ || exactly_ || !(nodes_.code(slot).norm > longNorm_) || slot >= rows_.end()) return false;
    return distanceOf(candidate) - bound(candidate) <= distanceOf(last);
  }

  /** As walks use it, of a distance that is shown. */
  double walkingOf(double shown) { return lazily().walkingOf(shown) + constant(); }
  /** Brings a row near, ahead of its use: from the disk where rows are cold. */
  void prefetchRow(Slot slot) const {
    if (__builtin_expect(rowsAreCold_, false)) return rows_.fetch(slot, uint64_t{slot} + 1);
    __builtin_prefetch(rows_.row(slot));
  }
  /** The same of all of it, where the processor would otherwise only guess that the rest is needed too. */
  void prefetchWholeRow(Slot slot) const {
    if (__builtin_expect(rowsAreCold_, false)) return prefetchRow(slot);
    prefetchLines(rows_.row(slot), rows_.rowBytes());
  }
  bool expectsColdRows() const { return rowsAreCold_; }
  double shown(Slot slot) { return lazily()(rows_.row(slot)); }
  /** Whether its row shows that it is farther, at half the cost of `shown`; false where that leaves it open. */
  bool isFarther(Slot slot, double limit) { return lazily().atLeast(rows_.row(slot)) > limit; }

 private:
  float gapOf(const Code& code, float dot) const {
    return halfSquare_ + code.norm * code.norm * 0.5f - scale_ * code.scale * dot;
  }
  /** Under COSINE norms are at most about 2, so float32 suffices. */
  Candidate quickCandidate(Slot slot, const Code& code, float dot) {
    const float gap = gapOf(code, dot);
    if (__builtin_expect(gap > unsureMax_, true)) return makeCandidate(gap, slot);
    return makeCandidate(sureDistance(slot, code, dot), slot);
  }
  double sureDistance(Slot slot, const Code& code, float dot) {
    const Estimate estimate = space_.estimate(origin_, code, dot);
    if (__builtin_expect(space_.isOutlier(code), false)) return exactIfThere(slot, estimate.distance);
    if (__builtin_expect(estimate.gap >= origin_.unsureMax, true)) return estimate.distance;
    return space_.isUnsure(origin_, code, estimate.gap) ? exactIfThere(slot, estimate.distance) : estimate.distance;
  }
  /** Out of the way of the inner loop. */
  __attribute__((noinline)) double exactIfThere(Slot slot, double estimate) {
    return slot < rows_.end() ? exact(slot) : estimate;
  }
  double exact(Slot slot) {
    const double distance = lazily().walking(rows_.row(slot)) + constant();
    // Below it rounding alone separates vectors of the same direction.
    return space_.metric == Metric::cosine && distance < sameDirection ? 0 : distance;
  }
  /** The largest error from the digits that a candidate drops. */
  static double droppedOf(double distance) { return std::fabs(distance) * 0x1p-21; }
  double constant() const { return space_.metric == Metric::ip ? space_.centreSquare() : 0; }
  const DistanceTo& lazily() {
    if (given_ != nullptr) return *given_;
    if (!exact_) exact_.emplace(vector_, space_.dimensions, space_.metric);
    return *exact_;
  }

  static constexpr double sameDirection = 1e-14;

  const DistanceTo* const given_;
  const CodeSpace& space_;
  const Nodes& nodes_;
  const Rows& rows_;
  const float* const vector_;
  const Origin origin_;
  /** Under COSINE: the same in float32, for the inner loop. */
  bool isQuick_;
  const bool hasCoarseCodes_;
  const float scale_, halfSquare_, unsureMax_;
  const bool rowsAreCold_;
  bool exactly_ = false;
  /** Beyond it vectors are much longer than some that a walk keeps. */
  float longNorm_ = std::numeric_limits<float>::infinity();
  std::optional<DistanceTo> exact_;
};

}  // namespace vstore

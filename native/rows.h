/** The float32 rows of a collection: consecutive slots in segments that somebody else keeps in memory. */
#pragma once
#include <algorithm>
#include <vector>

#include "nodes.h"

namespace vstore {

/** Never changed: whoever works with it keeps its own, and a longer one replaces it. */
class Rows {
 public:
  explicit Rows(uint32_t dimensions) : dimensions_(dimensions) {}

  Rows with(const float* data, uint64_t count) const {
    Rows longer = *this;
    longer.segments_.push_back({end(), end() + count, data});
    return longer;
  }

  /** Slots below it have a row. */
  uint64_t end() const { return segments_.empty() ? 0 : segments_.back().end; }

  const float* row(Slot slot) const {
    const auto isBefore = [](const Segment& segment, Slot wanted) { return segment.end <= wanted; };
    const auto segment = std::lower_bound(segments_.begin(), segments_.end(), slot, isBefore);
    return segment->data + (slot - segment->begin) * dimensions_;
  }

  size_t rowBytes() const { return dimensions_ * sizeof(float); }

 private:
  struct Segment {
    uint64_t begin;
    uint64_t end;
    const float* data;
  };
  uint32_t dimensions_;
  std::vector<Segment> segments_;
};

}  // namespace vstore

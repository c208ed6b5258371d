/** The float32 rows of a collection: consecutive slots in segments, whose memory belongs to JavaScript. */
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "graph/nodes.h"

namespace vstore {

/** Never changed: work under way keeps its own, and a longer one replaces it. */
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
    const auto segment = find(slot);
    return segment->data + (slot - segment->begin) * dimensions_;
  }

  /** Calls `visit(slot, row)` for the slots of [from, to), in order. */
  template <class Visit>
  void forEach(uint64_t from, uint64_t to, const Visit& visit) const {
    for (auto segment = find(from); from < to; ++segment) {
      const float* row = segment->data + (from - segment->begin) * dimensions_;
      const uint64_t end = std::min(to, segment->end);
      for (; from < end; from++, row += dimensions_) visit(static_cast<Slot>(from), row);
    }
  }

  size_t rowBytes() const { return dimensions_ * sizeof(float); }

  /** Has the system read the rows of [from, to), which end with their segment, where they are not in memory. */
  void fetch(uint64_t from, uint64_t to) const {
    const auto segment = find(from);
    const float* first = segment->data + (from - segment->begin) * dimensions_;
    advise(first, (std::min(to, segment->end) - from) * rowBytes(), MADV_WILLNEED);
  }

  /** Advice on the pages that some bytes are in. It is advice: where the system refuses, nothing is lost. */
  static void advise(const void* bytes, size_t n, int advice) {
    static const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto begin = reinterpret_cast<uintptr_t>(bytes) / page * page;
    madvise(reinterpret_cast<void*>(begin), reinterpret_cast<uintptr_t>(bytes) + n - begin, advice);
  }

 private:
  struct Segment {
    uint64_t begin;
    uint64_t end;
    const float* data;
  };
  std::vector<Segment>::const_iterator find(uint64_t slot) const {
    const auto isBefore = [](const Segment& segment, uint64_t wanted) { return segment.end <= wanted; };
    return std::lower_bound(segments_.begin(), segments_.end(), slot, isBefore);
  }
  uint32_t dimensions_;
  std::vector<Segment> segments_;
};

}  // namespace vstore

/** Results of a search, and the k nearest of them. */
#pragma once
#include <algorithm>
#include <vector>

#include "graph/nodes.h"

namespace vstore {

struct Neighbour {
  double distance;
  Slot slot;
  bool operator<(const Neighbour& other) const {
    return distance != other.distance ? distance < other.distance : slot < other.slot;
  }
};

/** The k nearest of all that it is offered, within a distance. */
class Nearest {
 public:
  Nearest(size_t k, double within) : k_(k), within_(within) {}
  void offer(const Neighbour& neighbour);
  /** Farther ones are not taken. */
  double limit() const { return heap_.size() < k_ ? within_ : heap_.front().distance; }
  size_t wanted() const { return k_; }
  void sort() { std::sort_heap(heap_.begin(), heap_.end()); }
  void clear() { heap_.clear(); }
  const std::vector<Neighbour>& neighbours() const { return heap_; }

 private:
  const size_t k_;
  const double within_;
  /** The farthest on top. */
  std::vector<Neighbour> heap_;
};

}  // namespace vstore

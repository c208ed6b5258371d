/**
 * The longest outliers (CodeSpace::isOutlier). Every walk of a search begins at them too. Under IP one of them is the
 * nearest of all to half of the queries, wherever those are, so no neighbourhood leads to it.
 */
#pragma once
#include <array>
#include <mutex>

#include "graph/nodes.h"

namespace vstore {

class Outliers {
 public:
  explicit Outliers(const Nodes& nodes) : nodes_(nodes) {}

  /** Notes a linked node, in the place of the shortest one where there are enough. Any thread may call it. */
  void note(Slot slot) {
    const std::lock_guard lock(mutex_);
    const size_t count = count_.load(std::memory_order_relaxed);
    if (count < slotsMax) {
      slots_[count].store(slot, std::memory_order_relaxed);
      count_.store(count + 1, std::memory_order_release);
      return;
    }
    const auto shorter = [this](Slot a, Slot b) { return normOf(a) < normOf(b); };
    std::atomic<Slot>& shortest = *std::min_element(slots_.begin(), slots_.end(), shorter);
    if (normOf(shortest) < normOf(slot)) shortest.store(slot, std::memory_order_release);
  }
  /** Calls visit(slot) for each. */
  template <class Visit>
  void forEach(const Visit& visit) const {
    const size_t count = count_.load(std::memory_order_acquire);
    for (size_t i = 0; i < count; i++) visit(slots_[i].load(std::memory_order_acquire));
  }

 private:
  /** The dead make room first. */
  float normOf(Slot slot) const { return nodes_.life(slot).isOfUse() ? nodes_.code(slot).norm : 0; }

  static constexpr size_t slotsMax = 64;
  const Nodes& nodes_;
  std::mutex mutex_;
  std::array<std::atomic<Slot>, slotsMax> slots_;
  std::atomic<size_t> count_{0};
};

}  // namespace vstore

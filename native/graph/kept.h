/** What a walk through the graph keeps: the nearest so far, those to go on from, and which nodes it has seen. */
#pragma once
#include <functional>
#include <vector>

#include "graph/candidates.h"

namespace vstore {

/** One sorted list, where all nodes are accepted. That is quicker than heaps where all of them are wanted, in order. */
class Shortlist {
 public:
  /** Empty, for so many. */
  void start(size_t max) {
    max_ = max;
    next_ = 0;
    kept_.clear();
    isDone_.clear();
    kept_.reserve(max);
    isDone_.reserve(max);
  }
  bool isFull() const { return kept_.size() == max_; }
  /** The farthest of those kept. */
  Candidate last() const { return kept_.back(); }
  bool keeps(Candidate candidate) const { return !isFull() || candidate < last(); }
  /** Returns what it keeps no longer for that. */
  Candidate keep(Candidate candidate, bool) {
    Candidate dropped = noCandidate;
    if (isFull()) {
      dropped = last();
      kept_.pop_back();
      isDone_.pop_back();
    }
    const auto at = std::lower_bound(kept_.begin(), kept_.end(), candidate) - kept_.begin();
    kept_.insert(kept_.begin() + at, candidate);
    isDone_.insert(isDone_.begin() + at, 0);
    next_ = std::min(next_, static_cast<size_t>(at));
    return dropped;
  }
  /** The nearest from which the walk has not gone on, and does now; noSlot when there is none. */
  Slot next() {
    const Slot slot = ahead();
    if (slot != noSlot) isDone_[next_] = 1;
    return slot;
  }
  /** What `next` would be now. */
  Slot ahead() {
    while (next_ < kept_.size() && isDone_[next_]) next_++;
    return next_ == kept_.size() ? noSlot : slotOf(kept_[next_]);
  }
  /** Nearest first. */
  const std::vector<Candidate>& kept() const { return kept_; }

 private:
  size_t max_ = 0;
  /** None before it is left. */
  size_t next_ = 0;
  std::vector<Candidate> kept_;
  std::vector<uint8_t> isDone_;
};

/** Puts another in the place of the largest of a heap, and returns that one. */
inline Candidate replaceTop(std::vector<Candidate>& heap, Candidate candidate) {
  const size_t size = heap.size();
  const Candidate largest = heap.front();
  size_t at = 0;
  for (size_t child = 1; child < size; child = 2 * at + 1) {
    // Branch-free: which of the two is larger cannot be predicted.
    child += child + 1 < size && heap[child + 1] > heap[child];
    if (heap[child] <= candidate) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = candidate;
  return largest;
}

/** Two heaps: of the nodes to go on from, and of those of them that are accepted. */
class Heaps {
 public:
  /** Empty, for so many that are accepted. */
  void start(size_t max) {
    max_ = max;
    frontier_.clear();
    accepted_.clear();
  }
  bool isFull() const { return accepted_.size() == max_; }
  /** The farthest accepted, once it is full. */
  Candidate last() const { return accepted_.front(); }
  bool keeps(Candidate candidate) const { return !isFull() || candidate < last(); }
  /** Returns the one accepted that it keeps no longer for that. */
  Candidate keep(Candidate candidate, bool isAccepted) {
    frontier_.push_back(candidate);
    std::push_heap(frontier_.begin(), frontier_.end(), nearestFirst);
    if (!isAccepted) return noCandidate;
    if (isFull()) return replaceTop(accepted_, candidate);
    accepted_.push_back(candidate);
    std::push_heap(accepted_.begin(), accepted_.end());
    return noCandidate;
  }
  /** The nearest from which the walk has not gone on, and does now; noSlot when those accepted are all nearer. */
  Slot next() {
    const Slot slot = ahead();
    if (slot == noSlot || (isFull() && frontier_.front() > last())) return noSlot;
    std::pop_heap(frontier_.begin(), frontier_.end(), nearestFirst);
    frontier_.pop_back();
    return slot;
  }
  /** What `next` would be now, if not noSlot. */
  Slot ahead() const { return frontier_.empty() ? noSlot : slotOf(frontier_.front()); }
  /** Those accepted, as a heap. */
  const std::vector<Candidate>& kept() const { return accepted_; }
  /** The same, nearest first. */
  void moveTo(std::vector<Candidate>& found) {
    std::sort_heap(accepted_.begin(), accepted_.end());
    found.swap(accepted_);
  }

 private:
  static constexpr std::greater<Candidate> nearestFirst{};

  size_t max_ = 0;
  /** The nearest on top. */
  std::vector<Candidate> frontier_;
  /** The farthest on top. */
  std::vector<Candidate> accepted_;
};

/**
 * The set of slots seen: a slot is in it when its tag is that of the walk, so it is emptied by taking the next tag.
 * Tags of one byte have to be cleared every 255 walks, and stay in the cache longer.
 */
class Visited {
 public:
  void start(uint64_t slots) {
    if (tags_.size() < slots) tags_.resize(slots, 0);
    slots_ = slots;
    if (++tag_ != 0) return;
    std::fill(tags_.begin(), tags_.end(), 0);
    tag_ = 1;
  }
  /** False when it was in already, or is beyond: born since the walk began. */
  bool insert(Slot slot) {
    if (slot >= slots_) return false;
    const bool isNew = tags_[slot] != tag_;
    tags_[slot] = tag_;
    return isNew;
  }

 private:
  std::vector<uint8_t> tags_;
  uint64_t slots_ = 0;
  uint8_t tag_ = 0;
};

/** The memory of one walk, kept by each thread for its next. */
struct Scratch {
  Visited visited;
  Shortlist shortlist;
  Heaps heaps;
  /** What the last walk found, nearest first. */
  std::vector<Candidate> found;
  /** Nodes to look at next; before a walk, those at which it begins. */
  std::vector<Slot> unseen;
  /** The same with their distances. */
  std::vector<Candidate> distances;
  /** Of a comparison of all: those that may be among the nearest, in no order, by the least distance that each may have. */
  std::vector<Candidate> compared;
  /** The nearest that as many of them are at most, the largest on top. */
  std::vector<double> most;

  /** Not inlined: the compiler would look for the thread's memory again and again. */
  __attribute__((noinline)) static Scratch& ofThread() {
    thread_local Scratch scratch;
    return scratch;
  }
};

}  // namespace vstore

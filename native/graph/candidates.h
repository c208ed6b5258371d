/** What a walk through the graph keeps: candidates in order, and which nodes it has seen. */
#pragma once
#include <algorithm>
#include <cstring>
#include <vector>

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

/**
 * What a walk that accepts every node keeps: the nearest so far, in order, and from which of them it has gone on. One
 * list does here what else takes two heaps.
 */
class Shortlist {
 public:
  /** Empty, for so many. */
  void start(size_t max) {
    max_ = max;
    next_ = 0;
    kept_.clear();
    isDone_.clear();
    kept_.reserve(max + 1);
    isDone_.reserve(max + 1);
  }
  bool isFull() const { return kept_.size() == max_; }
  bool keeps(Candidate candidate) const { return !isFull() || candidate < kept_.back(); }
  /** Returns what it keeps no longer for that. */
  Candidate keep(Candidate candidate) {
    Candidate dropped = noCandidate;
    if (isFull()) {
      dropped = kept_.back();
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
    while (next_ < kept_.size() && isDone_[next_]) next_++;
    if (next_ == kept_.size()) return noSlot;
    isDone_[next_] = 1;
    return slotOf(kept_[next_]);
  }
  /** Sorted, nearest first. */
  const std::vector<Candidate>& kept() const { return kept_; }

 private:
  size_t max_ = 0;
  /** None before it is left. */
  size_t next_ = 0;
  std::vector<Candidate> kept_;
  std::vector<uint8_t> isDone_;
};

/** The memory of one walk, kept by each thread for its next. */
struct Scratch {
  Visited visited;
  /** Nodes to go on from, a heap with the nearest on top. */
  std::vector<Candidate> frontier;
  /** The nearest so far, a heap with the farthest on top; sorted, nearest first, when the walk ends. */
  std::vector<Candidate> found;
  /** Nodes to look at next; before a walk, those at which it begins. */
  std::vector<Slot> unseen;
  /** The same with their distances. */
  std::vector<Candidate> distances;
  /** Of a walk that accepts every node. */
  Shortlist shortlist;
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

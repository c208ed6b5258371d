/** The slots that a search may find, one bit each. It never changes, so any thread may read it. */
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

#include "graph/nodes.h"

namespace vstore {

class Allowed {
 public:
  /** Lowest bit first; slots beyond the end are not in it. */
  Allowed(const uint8_t* bytes, size_t size) : words_((size + 7) / 8) {
    if (size > 0) std::memcpy(words_.data(), bytes, size);
    for (const uint64_t word : words_) count_ += bitsIn(word);
  }

  size_t count() const { return count_; }
  bool has(Slot slot) const { return slot / bits < words_.size() && (words_[slot / bits] >> (slot % bits) & 1); }

  /** Calls `visit(slot)` for its slots of [from, to), in order. */
  template <class Visit>
  void forEach(uint64_t from, uint64_t to, const Visit& visit) const {
    forWords(from, to, [&](Slot first, uint64_t word) { forBits(first, word, visit); });
  }
  /** Calls `visit(first, word)` for each 64 slots of which some are in it, with those of [from, to) that are. */
  template <class Visit>
  void forWords(uint64_t from, uint64_t to, const Visit& visit) const {
    to = std::min<uint64_t>(to, words_.size() * bits);
    for (uint64_t at = from / bits; at * bits < to; at++) {
      uint64_t word = words_[at];
      if (at == from / bits) word &= ~uint64_t{0} << (from % bits);
      if (to - at * bits < bits) word &= ~(~uint64_t{0} << (to % bits));
      if (word != 0) visit(static_cast<Slot>(at * bits), word);
    }
  }
  /** Calls `visit(slot)` for the bits of a word. */
  template <class Visit>
  static void forBits(Slot first, uint64_t word, const Visit& visit) {
    for (; word != 0; word &= word - 1) visit(first + static_cast<Slot>(__builtin_ctzll(word)));
  }

  /** The first of its slots from `from` on, noSlot when there is none. */
  Slot next(uint64_t from) const {
    for (uint64_t at = from / bits; at < words_.size(); at++) {
      uint64_t word = words_[at];
      if (at == from / bits) word &= ~uint64_t{0} << (from % bits);
      if (word != 0) return static_cast<Slot>(at * bits + static_cast<uint64_t>(__builtin_ctzll(word)));
    }
    return noSlot;
  }

 private:
  static constexpr uint64_t bits = 64;
  /** Warren 2012, section 5-1: unlike a call of the builtin, the compiler makes it many words at once. */
  static size_t bitsIn(uint64_t word) {
    word -= word >> 1 & 0x5555555555555555;
    word = (word & 0x3333333333333333) + (word >> 2 & 0x3333333333333333);
    return (((word + (word >> 4)) & 0x0f0f0f0f0f0f0f0f) * 0x0101010101010101) >> 56;
  }

  std::vector<uint64_t> words_;
  size_t count_ = 0;
};

}  // namespace vstore

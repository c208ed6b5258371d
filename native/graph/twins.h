/**
 * Equal vectors. Their distances to everything are the same, so in the graph they would fill each other's links and
 * push out all others. Only the first of them is linked; the others, its twins, are kept in a list behind it. This
 * table finds that first one by the hash of the row. It is not saved: the hashes are.
 */
#pragma once
#include <array>
#include <mutex>

#include "graph/nodes.h"

namespace vstore {

/** Of the components' bits; 0 and -0 are equal, so they hash alike (mixed as in MurmurHash3, Appleby 2011). */
inline uint32_t hashOf(const float* row, size_t n) {
  uint32_t hash = 0;
  for (size_t i = 0; i < n; i++) {
    const float component = row[i] + 0.0f;
    uint32_t word;
    std::memcpy(&word, &component, sizeof word);
    word *= 0xcc9e2d51;
    hash ^= (word << 15 | word >> 17) * 0x1b873593;
    hash = (hash << 13 | hash >> 19) * 5 + 0xe6546b64;
  }
  hash = (hash ^ hash >> 16) * 0x85ebca6b;
  return hash ^ hash >> 13;
}

class Twins {
 public:
  explicit Twins(const Nodes& nodes) : nodes_(nodes) {}

  /**
   * The slot noted before whose vector is the same, or noSlot after noting this one. The node has its hash.
   *
   * @param isSame tells whether a slot of the same hash has the same vector
   */
  template <class IsSame>
  Slot findOrNote(Slot slot, const IsSame& isSame) {
    const uint32_t hash = nodes_.code(slot).hash;
    Shard& shard = shards_[hash % shards_.size()];
    const std::lock_guard lock(shard.mutex);
    if (shard.count * 8 >= shard.table.size() * 7) grow(shard);
    size_t at = home(shard, hash);
    for (; shard.table[at] != noSlot; at = next(shard, at)) {
      const Slot other = shard.table[at];
      if (nodes_.code(other).hash == hash && isSame(other)) return other;
    }
    shard.table[at] = slot;
    shard.count++;
    return noSlot;
  }
  /**
   * Notes the slots of a graph from a file, whose vectors all differ, without a look at their nodes.
   *
   * @param hashes by slot
   */
  void adopt(const std::vector<Slot>& slots, const std::vector<uint32_t>& hashes) {
    std::array<size_t, shardsMax> counts{};
    for (const Slot slot : slots) counts[hashes[slot] % shardsMax]++;
    for (size_t i = 0; i < shardsMax; i++) {
      size_t size = counts[i] == 0 ? 0 : 16;
      while (counts[i] * 8 >= size * 7 && size > 0) size *= 2;
      shards_[i].table.assign(size, noSlot);
      shards_[i].count = counts[i];
    }
    for (const Slot slot : slots) {
      Shard& shard = shards_[hashes[slot] % shardsMax];
      size_t at = home(shard, hashes[slot]);
      while (shard.table[at] != noSlot) at = next(shard, at);
      shard.table[at] = slot;
    }
  }
  size_t bytes() {
    size_t slots = 0;
    for (Shard& shard : shards_) {
      const std::lock_guard lock(shard.mutex);
      slots += shard.table.size();
    }
    return slots * sizeof(Slot);
  }

 private:
  struct Shard {
    std::mutex mutex;
    /** Open addressing; its length is a power of two. */
    std::vector<Slot> table;
    size_t count = 0;
  };
  static size_t home(const Shard& shard, uint32_t hash) { return hash / shardsMax & (shard.table.size() - 1); }
  static size_t next(const Shard& shard, size_t at) { return (at + 1) & (shard.table.size() - 1); }

  void grow(Shard& shard) {
    std::vector<Slot> before(std::max<size_t>(16, shard.table.size() * 2), noSlot);
    before.swap(shard.table);
    for (const Slot slot : before) {
      if (slot == noSlot) continue;
      size_t at = home(shard, nodes_.code(slot).hash);
      while (shard.table[at] != noSlot) at = next(shard, at);
      shard.table[at] = slot;
    }
  }

  static constexpr size_t shardsMax = 16;
  const Nodes& nodes_;
  std::array<Shard, shardsMax> shards_;
};

}  // namespace vstore

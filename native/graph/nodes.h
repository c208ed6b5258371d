/**
 * The memory of a graph: one node per slot, in chunks that never move, so that it grows while it is searched. A chunk
 * is fresh zeroed memory of the system, whose pages cost nothing before they are touched.
 *
 * Codes and links of layer 0 are nearly all of it. They are the region of a chunk, which is the same in the file of a
 * saved graph. So a whole chunk can be mapped from there: its pages come as they are used, and the system takes them
 * back where memory is short. A node whose links change becomes a private copy of its pages. What lives and dies, and
 * the layers above, stays in memory of its own.
 *
 * Each word is written by the thread that its function names; all that threads share is atomic. A link is stored with
 * release and read with acquire, so that a thread that follows it sees the whole node behind it.
 */
#pragma once
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "codes/codes.h"

namespace vstore {

using Slot = uint32_t;
/** No slot; the largest one is smaller. */
constexpr Slot noSlot = 0xffffffff;

constexpr size_t cacheLine = 64;

/** A list of links: links[0] is its head, they follow. */
using Link = std::atomic<uint32_t>;

/**
 * How many links a list has. The first `settled` of them lie in order, and none is behind another (Graph::isBehind), so
 * they need not be compared with each other when the list is chosen anew.
 */
struct ListHead {
  explicit ListHead(uint32_t word) : count(word & 0xffff), settled(word >> 16) {}
  ListHead(uint32_t countGiven, uint32_t settledGiven) : count(countGiven), settled(settledGiven) {}
  uint32_t word() const { return settled << 16 | count; }

  const uint32_t count, settled;
};

inline ListHead headOf(const Link* links) { return ListHead(links[0].load(std::memory_order_acquire)); }
/** A list may be changing: it is never longer than its memory, and its links are whole nodes. */
inline uint32_t countOf(const Link* links) { return headOf(links).count; }
/** The same where the list may come from a damaged file: its links may be any number then. */
inline uint32_t countOf(const Link* links, uint32_t max) { return std::min(countOf(links), max); }
inline Slot linkAt(const Link* links, uint32_t i) { return links[1 + i].load(std::memory_order_acquire); }

/** Anonymous memory of the system, zeroed. */
class Pages {
 public:
  explicit Pages(size_t bytes);
  ~Pages();
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  std::byte* data() const { return data_; }
  /** Asks for large pages, which speed up random reads. */
  void enlarge();
  /** Puts bytes of a file in the place of the first pages; what is written goes to copies of its pages. */
  void map(int file, uint64_t offset, size_t bytes);
  /**
   * Puts a copy of the first pages in their place, in large pages of its own, if `isWhole` says so of the copy. Readers
   * may be at work, but no writer. Tells whether it did.
   */
  template <class IsWhole>
  bool copy(size_t bytes, const IsWhole& isWhole) {
    Pages fresh(bytes);
    fresh.enlargeUnused();
    std::memcpy(fresh.data_, data_, bytes);
    return isWhole(fresh.data_) && fresh.moveTo(data_, bytes);
  }

 private:
  void enlargeUnused();
  bool moveTo(std::byte* place, size_t bytes);

  std::byte* data_;
  const size_t bytes_;
  /** Of them, what another one has now. */
  size_t moved_ = 0;
};

/**
 * The life of a slot in one word: the epoch in which it died, or `alive`, or `unborn`; and, in the lowest bits, whether
 * its node is linked into the graph, as a twin of another node, whether it has twins itself, and whether it is an
 * outlier. A search sees what dies after the epoch in which the search began.
 */
class Life {
 public:
  bool seenAt(uint64_t epoch) const { return word_.load(std::memory_order_relaxed) >> bits > epoch; }
  /** A thread that sees it sees the row of the slot too. */
  bool isAlive() const { return word_.load(std::memory_order_acquire) >> bits == alive; }
  /** Whether a search may give its vector: of a dead node with twins, some of them may live. */
  bool isOfUse() const { return isAlive() || hasTwins(); }
  bool isLinked() const { return has(linked); }
  bool isTwin() const { return has(twin); }
  bool hasTwins() const { return has(twins); }
  bool isOutlier() const { return has(outlier); }
  /** Sets when it dies; tells whether it was linked by then. Only one thread does that. */
  bool setDeath(uint64_t epoch) {
    uint64_t word = word_.load(std::memory_order_relaxed);
    while (!word_.compare_exchange_weak(word, epoch << bits | (word & flags))) {
    }
    return word & linked;
  }
  /** Tells whether it was alive by then. */
  bool setLinked() { return word_.fetch_or(linked) >> bits == alive; }
  void setTwin() { word_.fetch_or(twin); }
  void setHasTwins() { word_.fetch_or(twins); }
  void setOutlier() { word_.fetch_or(outlier); }
  /** What a file keeps of it. */
  uint8_t kind() const { return static_cast<uint8_t>(word_.load(std::memory_order_relaxed) & flags); }
  /** Before other threads know of it. Tells whether there is such a kind. */
  bool setKind(uint8_t kind) {
    if (kind > flags || (kind != 0 && !(kind & linked)) || (kind & twin && kind & ~(linked | twin))) return false;
    word_.fetch_or(kind);
    return true;
  }

  static constexpr uint64_t unborn = 0;
  static constexpr unsigned bits = 4;
  static constexpr uint64_t alive = ~0ull >> bits;

 private:
  static constexpr uint64_t linked = 1, twin = 2, twins = 4, outlier = 8,
                            flags = linked | twin | twins | outlier;
  bool has(uint64_t flag) const { return word_.load(std::memory_order_relaxed) & flag; }
  std::atomic<uint64_t> word_;
};

class Nodes {
 public:
  Nodes(size_t codeBytes, uint32_t M);
  ~Nodes();

  /** Makes sure that a slot has memory. Only one thread calls it. @throws std::bad_alloc */
  void reserve(Slot slot);
  /**
   * Of slots in order: all up to this one are linked, or about to be. A chunk gets large pages then, and not before:
   * they are in memory as a whole, and the last chunk may stay nearly empty.
   */
  void filled(Slot slot);
  /** Slots below it have memory. */
  uint64_t capacity() const { return capacity_.load(std::memory_order_acquire); }
  Slot slots() const { return slots_.load(std::memory_order_relaxed); }
  /** Bytes of the memory that was touched, without mapped chunks; and bytes of those. */
  size_t bytes() const { return slots() * slotBytes() + upperBytes_.load(std::memory_order_relaxed) - mappedBytes(); }
  size_t mappedBytes() const { return mapped_.load(std::memory_order_relaxed) * regionBytes(); }

  /**
   * Whether it lives, has no twins and is none: a bit of each slot, for walks, which look at it far more often than at
   * all that a life tells. It may be late by a moment.
   */
  bool isPlain(Slot slot) const { return plainAround(slot) >> (slot % bitsOfWord) & 1; }
  /** The same of the 64 slots of which this is one, lowest bit first. */
  uint64_t plainAround(Slot slot) const { return plainOf(slot).load(std::memory_order_acquire); }
  void setPlain(Slot slot) { plainOf(slot).fetch_or(uint64_t{1} << (slot % bitsOfWord)); }
  void unsetPlain(Slot slot) { plainOf(slot).fetch_and(~(uint64_t{1} << (slot % bitsOfWord))); }
  Life& life(Slot slot) const { return chunkOf(slot).lives[slot % chunkSlots]; }
  Code& code(Slot slot) const;
  /** How far apart the codes of successive slots are in memory: of all 64 slots of `plainAround`, and more. */
  size_t codeStride() const { return codeStride_; }
  /** Ask for a node's cache lines, and for those of its links, ahead of their use. */
  void prefetch(Slot slot) const;
  void prefetchLinks(Slot slot, uint32_t level) const;
  /** Layer 0 is in the chunk, the others where `createUpper` put them. */
  Link* links(Slot slot, uint32_t level) const;
  uint32_t linksMax(uint32_t level) const { return level == 0 ? 2 * M_ : M_; }
  /** A link of layer 0 that is never dropped, to a node that walks would miss without it. 0: none; else slot + 1. */
  Link& bridge(Slot slot) const { return links(slot, 0)[2 + linksMax(0)]; }
  /**
   * The next of the nodes that are equal to this one: a list that begins at the one that has links. 0: none; else slot
   * + 1.
   */
  Link& twin(Slot slot) const { return links(slot, 0)[1 + linksMax(0)]; }
  /** The highest layer of a node: geometric in 1/M, drawn from a hash of the slot, so that it need not be kept. */
  uint32_t levelOf(Slot slot) const;
  std::atomic<bool>& lock(Slot slot) const;

  /** Codes, then links of layer 0: of so many slots of one chunk. */
  size_t regionBytes(Slot slots = chunkSlots) const { return slots * (codeStride_ + linksBytes()); }
  size_t codesBytes(Slot slots) const { return slots * codeStride_; }
  size_t linksBytes() const { return linkWords() * sizeof(Link); }
  /** Links above layer 0 of the first slots of a chunk, which lie one after the other. */
  Link* upperLinks(size_t chunk) const { return chunks_[chunk].load(std::memory_order_acquire)->upper; }
  size_t upperBytes(size_t chunk, Slot slots) const;
  size_t upperBytesOf(Slot slot) const { return levelOf(slot) * (1 + M_) * sizeof(Link); }
  /** The codes of a chunk, which the links of whole ones follow. */
  std::byte* region(size_t chunk) const { return chunks_[chunk].load(std::memory_order_acquire)->codes; }
  /** Counts links above layer 0 that are in use from now on. */
  void noteUpper(size_t bytes) { upperBytes_.fetch_add(bytes, std::memory_order_relaxed); }

  /** Puts the region of a whole chunk from a file in the place of its memory, where nothing may be written meanwhile. */
  void map(size_t chunk, int file, uint64_t offset);
  bool isMapped(size_t chunk) const {
    return chunks_[chunk].load(std::memory_order_acquire)->isMapped.load(std::memory_order_relaxed);
  }
  /** Bytes of mapped regions that are in memory, by a sample of at most so many. */
  size_t residentBytes(size_t regionsMax) const;
  /** Asks for a mapped region to be read ahead. */
  void fetch(size_t chunk);
  /** Takes a mapped region into memory of its own, if the copy is sound; tells whether it is. */
  template <class IsSound>
  bool own(size_t chunk, const IsSound& isSound) {
    Chunk& owner = *chunks_[chunk].load(std::memory_order_acquire);
    bool sound = false;
    const auto look = [&](const std::byte* copy) { return sound = isSound(copy); };
    if (owner.memory.copy(regionBytes(), look) && owner.isMapped.exchange(false)) mapped_.fetch_sub(1);
    return sound;
  }

  static constexpr uint32_t chunkBits = 14;
  static constexpr Slot chunkSlots = 1 << chunkBits;
  static constexpr uint32_t levelMax = 15;

 private:
  struct Chunk {
    Chunk(const Nodes& nodes, size_t number);
    Pages memory;
    std::byte* codes;
    Link* links;
    Life* lives;
    std::atomic<uint64_t>* plain;
    std::atomic<bool>* locks;
    /** Where a slot's links are in `upper`, in lists. */
    uint16_t* upperAt;
    Link* upper;
    std::atomic<bool> isMapped{false};
  };
  static constexpr size_t chunksMax = (1ull << 32) / chunkSlots;

  /** Of layer 0: how many links, the links, the twin, the bridge. */
  size_t linkWords() const { return 3 + linksMax(0); }
  static constexpr Slot bitsOfWord = 64;
  std::atomic<uint64_t>& plainOf(Slot slot) const { return chunkOf(slot).plain[slot % chunkSlots / bitsOfWord]; }
  Chunk& chunkOf(Slot slot) const { return *chunks_[slot >> chunkBits].load(std::memory_order_acquire); }

  /** Of a slot in its chunk, without links above layer 0. */
  size_t slotBytes() const {
    return codeStride_ + linksBytes() + sizeof(Life) + sizeof(std::atomic<bool>) + sizeof(uint16_t);
  }

  const uint32_t M_;
  const size_t codeStride_;
  const Pages directory_;
  std::atomic<Chunk*>* const chunks_;
  std::atomic<uint64_t> capacity_{0};
  std::atomic<Slot> slots_{0};
  /** Lists above layer 0 of the last chunk's slots. */
  uint16_t lists_ = 0;
  std::atomic<size_t> upperBytes_{0};
  /** Chunks. */
  std::atomic<size_t> mapped_{0};
};

inline Code& Nodes::code(Slot slot) const {
  return *reinterpret_cast<Code*>(chunkOf(slot).codes + (slot % chunkSlots) * codeStride_);
}

inline void prefetchLines(const void* begin, size_t bytes) {
  for (size_t at = 0; at < bytes; at += cacheLine) __builtin_prefetch(static_cast<const std::byte*>(begin) + at);
}

inline void Nodes::prefetch(Slot slot) const { prefetchLines(&code(slot), codeStride_); }

inline void Nodes::prefetchLinks(Slot slot, uint32_t level) const {
  prefetchLines(links(slot, level), level == 0 ? linksBytes() : (1 + linksMax(level)) * sizeof(Link));
}

inline Link* Nodes::links(Slot slot, uint32_t level) const {
  const Chunk& chunk = chunkOf(slot);
  if (level == 0) return chunk.links + (slot % chunkSlots) * linkWords();
  return chunk.upper + (chunk.upperAt[slot % chunkSlots] + level - 1) * (1 + M_);
}

inline std::atomic<bool>& Nodes::lock(Slot slot) const { return chunkOf(slot).locks[slot % chunkSlots]; }

}  // namespace vstore

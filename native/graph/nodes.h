/**
 * The memory of a graph: one node per slot, in chunks that never move, so that it grows while it is searched. A chunk
 * is fresh zeroed memory of the system, whose pages cost nothing before they are touched.
 *
 * Each word is written by the thread that its function names; all that threads share is atomic. A link is stored with
 * release and read with acquire, so that a thread that follows it sees the whole node behind it.
 */
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
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

 private:
  std::byte* data_;
  const size_t bytes_;
};

/**
 * The life of a slot in one word: the epoch in which it died, or `alive`, or `unborn`; and, in the lowest bits, whether
 * its node is linked into the graph, as a twin of another node, and whether it has twins itself. A search sees what
 * dies after the epoch in which the search began.
 */
class Life {
 public:
  bool seenAt(uint64_t epoch) const { return word_.load(std::memory_order_relaxed) >> bits > epoch; }
  /** A thread that sees it sees the row of the slot too. */
  bool isAlive() const { return word_.load(std::memory_order_acquire) >> bits == alive; }
  bool isLinked() const { return has(linked); }
  bool isTwin() const { return has(twin); }
  bool hasTwins() const { return has(twins); }
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

  static constexpr uint64_t unborn = 0;
  static constexpr unsigned bits = 3;
  static constexpr uint64_t alive = ~0ull >> bits;

 private:
  static constexpr uint64_t linked = 1, twin = 2, twins = 4, flags = linked | twin | twins;
  bool has(uint64_t flag) const { return word_.load(std::memory_order_relaxed) & flag; }
  std::atomic<uint64_t> word_;
};

/** What a search looks at of a node, in adjacent cache lines; the components of the code follow. */
struct Node {
  Life life;
  Code code;
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
  /** Bytes of the memory that was touched. */
  size_t bytes() const { return slots() * slotBytes_ + upperBytes_.load(std::memory_order_relaxed); }

  Node& node(Slot slot) const;
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
  /** Memory for a node's links above layer 0, before it is linked. */
  void createUpper(Slot slot);
  std::atomic<bool>& lock(Slot slot) const;

  /** Bytes of a node in its chunk, by array: what a saved chunk consists of. */
  size_t nodeStride() const { return nodeStride_; }
  size_t linksBytes() const { return linkWords() * sizeof(Link); }
  size_t upperBytes(Slot slot) const { return levelOf(slot) * (1 + M_) * sizeof(Link); }

  static constexpr uint32_t chunkBits = 14;
  static constexpr Slot chunkSlots = 1 << chunkBits;
  static constexpr uint32_t levelMax = 15;

 private:
  struct Chunk {
    explicit Chunk(const Nodes& nodes);
    ~Chunk();
    Pages memory;
    std::byte* nodes;
    Link* links;
    Link** upper;
    std::atomic<bool>* locks;
  };
  static constexpr size_t chunksMax = (1ull << 32) / chunkSlots;

  /** Of layer 0: how many links, the links, the twin, the bridge. */
  size_t linkWords() const { return 3 + linksMax(0); }
  Chunk& chunkOf(Slot slot) const { return *chunks_[slot >> chunkBits].load(std::memory_order_acquire); }

  const uint32_t M_;
  const size_t nodeStride_;
  const size_t slotBytes_;
  const Pages directory_;
  std::atomic<Chunk*>* const chunks_;
  std::atomic<uint64_t> capacity_{0};
  std::atomic<Slot> slots_{0};
  std::atomic<size_t> upperBytes_{0};
};

inline Node& Nodes::node(Slot slot) const {
  return *reinterpret_cast<Node*>(chunkOf(slot).nodes + (slot % chunkSlots) * nodeStride_);
}

inline void prefetchLines(const void* begin, size_t bytes) {
  for (size_t at = 0; at < bytes; at += cacheLine) __builtin_prefetch(static_cast<const std::byte*>(begin) + at);
}

inline void Nodes::prefetch(Slot slot) const { prefetchLines(&node(slot), nodeStride_); }

inline void Nodes::prefetchLinks(Slot slot, uint32_t level) const {
  prefetchLines(links(slot, level), level == 0 ? linksBytes() : (1 + linksMax(level)) * sizeof(Link));
}

inline Link* Nodes::links(Slot slot, uint32_t level) const {
  const Chunk& chunk = chunkOf(slot);
  if (level == 0) return chunk.links + (slot % chunkSlots) * linkWords();
  return chunk.upper[slot % chunkSlots] + (level - 1) * (1 + M_);
}

inline std::atomic<bool>& Nodes::lock(Slot slot) const { return chunkOf(slot).locks[slot % chunkSlots]; }

}  // namespace vstore

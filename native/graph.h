/**
 * A Hierarchical Navigable Small World graph (Malkov & Yashunin 2018) over the codes of vectors. Any number of
 * threads search and insert at once: readers take no lock, a writer takes that of the node whose links it changes.
 * A reader may see a list while it changes; every link that it finds leads to a whole node, and that suffices.
 *
 * A dead node stays as a way through. Slots are born and die on one thread only.
 */
#pragma once
#include <algorithm>
#include <functional>

#include "candidates.h"

namespace vstore {

struct GraphOptions {
  uint32_t dimensions;
  Metric metric;
  Quantization quantization;
  /** Links of a node on each layer above the lowest, which has twice as many. */
  uint32_t M;
  /** Candidates kept while a node is inserted. */
  uint32_t efConstruction;
};

class Graph {
 public:
  explicit Graph(const GraphOptions& options);

  const GraphOptions options;
  const CodeSpace space;
  Nodes nodes;

  void setLive(Slot slot);
  void kill(Slot slot);
  /** A search that begins now sees what dies later. */
  uint64_t epoch() const { return epoch_; }

  /** Links a slot that has memory and is not linked. Each slot is inserted once. @throws std::bad_alloc */
  void insert(Slot slot, const float* row);

  /**
   * The nearest `ef` nodes that are accepted, in scratch.found, nearest first.
   *
   * @param visitsMax nodes looked at before it is given up; false then
   */
  template <class Accept>
  bool search(const Code& query, size_t ef, size_t visitsMax, const Accept& accept, Scratch& scratch) const;

  /** Linked nodes, and those of them that are alive. */
  uint32_t length() const { return length_.load(std::memory_order_relaxed); }
  uint32_t live() const { return live_.load(std::memory_order_relaxed); }

  Slot entry() const { return entry_.load(std::memory_order_acquire); }
  /** Takes over nodes that a file filled, before the graph is shared. */
  void adopt(Slot entry, uint32_t length);

 private:
  static constexpr size_t everything = ~size_t{0};

  template <class Accept>
  bool explore(const Code& query, Slot start, uint32_t level, size_t ef, size_t visitsMax, const Accept& accept,
               Scratch& scratch) const;
  Slot descend(const Code& query, Slot from, uint32_t level, uint32_t toLevel) const;
  void gather(const Link* links, Scratch& scratch) const;
  std::vector<Slot> select(const std::vector<Candidate>& sorted, uint32_t max) const;
  void selectAmong(const std::vector<Candidate>& sorted, uint32_t max, bool alive, std::vector<Slot>& chosen) const;
  void connect(Slot from, Slot to, uint32_t level);
  void replace(Link* links, Slot from, Slot to, uint32_t level);
  void raiseEntry(Slot slot);
  float distance(Slot a, Slot b) const { return space.distance(nodes.node(a).code, nodes.node(b).code); }
  Candidate candidate(const Code& query, Slot slot) const {
    return makeCandidate(space.distance(query, nodes.node(slot).code), slot);
  }

  /** Where every walk begins: a node of the highest layer. */
  std::atomic<Slot> entry_{noSlot};
  std::atomic<uint32_t> length_{0};
  std::atomic<uint32_t> live_{0};
  uint64_t epoch_ = 1;
};

template <class Accept>
bool Graph::search(const Code& query, size_t ef, size_t visitsMax, const Accept& accept, Scratch& scratch) const {
  scratch.found.clear();
  const Slot start = entry();
  if (start == noSlot) return true;
  const Slot near = descend(query, start, nodes.levelOf(start), 0);
  return explore(query, near, 0, ef, visitsMax, accept, scratch);
}

/** SEARCH-LAYER, algorithm 2 of the paper. */
template <class Accept>
bool Graph::explore(const Code& query, Slot start, uint32_t level, size_t ef, size_t visitsMax,
                    const Accept& accept, Scratch& scratch) const {
  auto& [visited, frontier, found, unseen] = scratch;
  const auto nearestFirst = std::greater<Candidate>();
  size_t visits = 0;
  frontier.clear();
  found.clear();
  visited.start(nodes.capacity());
  visited.insert(start);
  unseen.assign(1, start);
  for (;;) {
    for (const Slot slot : unseen) {
      const Candidate reached = candidate(query, slot);
      if (found.size() >= ef && reached > found.front()) continue;
      // It may be the next to go on from.
      nodes.prefetchLinks(slot, level);
      frontier.push_back(reached);
      std::push_heap(frontier.begin(), frontier.end(), nearestFirst);
      if (!accept(slot)) continue;
      if (found.size() == ef) {
        replaceTop(found, reached);
      } else {
        found.push_back(reached);
        std::push_heap(found.begin(), found.end());
      }
    }
    visits += unseen.size();
    if (frontier.empty() || (found.size() >= ef && frontier.front() > found.front())) break;
    if (visits > visitsMax) return false;
    const Slot next = slotOf(frontier.front());
    std::pop_heap(frontier.begin(), frontier.end(), nearestFirst);
    frontier.pop_back();
    gather(nodes.links(next, level), scratch);
  }
  std::sort_heap(found.begin(), found.end());
  return true;
}

}  // namespace vstore

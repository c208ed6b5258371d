/**
 * A Hierarchical Navigable Small World graph (Malkov & Yashunin 2018) over the codes of vectors. Any number of
 * threads search and insert at once: readers take no lock, a writer takes that of the node whose links it changes.
 * A reader may see a list while it changes. That suffices, because every link that it finds leads to a whole node.
 *
 * A dead node stays as a way through. Slots are born and die on one thread only. Of equal vectors only the first has
 * links (twins.h).
 */
#pragma once
#include <algorithm>
#include <functional>

#include "graph/outliers.h"
#include "graph/probe.h"
#include "graph/twins.h"

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

/** How long a walk goes on: until it has looked at more nodes. */
struct VisitsMax {
  bool goesOn(const std::vector<Slot>& looked) { return (left -= std::min(left, looked.size())) > 0; }
  size_t left;
};

class Graph {
 public:
  explicit Graph(const GraphOptions& options);

  const GraphOptions options;
  CodeSpace space;
  Nodes nodes;

  void setLive(Slot slot);
  void kill(Slot slot);
  /** A search that begins now still sees slots that die later. */
  uint64_t epoch() const { return epoch_; }

  /**
   * Learns the centre from some of the vectors that are alive, once, before the first is inserted. Any thread may call
   * it.
   */
  void learn(const Rows& rows);
  /** Links a slot that has memory and is not linked. Each slot is inserted once. @throws std::bad_alloc */
  void insert(Slot slot, const Rows& rows);

  /**
   * Looks for the node of a slot, as a search for its vector would. Where no walk reaches it, a node that one reaches
   * gets a link to it that is never dropped, until one does. Later insertions may drop other links, so it is worth
   * doing again.
   */
  void mend(Slot slot, const Rows& rows);

  /**
   * The nearest `ef` nodes that are accepted, in scratch.found, nearest first. Twins are not among them: `forTwins`
   * finds those of a node.
   *
   * @param patience is told what nodes each step looked at; where it does not go on, the walk is given up: false then
   */
  template <class Patience, class Accept>
  bool search(Probe& query, size_t ef, Patience patience, const Accept& accept, Scratch& scratch) const;
  /** Goes on with a search from what it found, with another measure. */
  template <class Patience, class Accept>
  bool searchOn(Probe& query, size_t ef, Patience patience, const Accept& accept, Scratch& scratch) const;
  /** Calls visit(slot) for the twins of a node until it returns false. */
  template <class Visit>
  void forTwins(Slot slot, const Visit& visit) const;

  /** Calls visit(slot) for the outliers at which walks begin too. */
  template <class Visit>
  void forOutliers(const Visit& visit) const {
    outliers_.forEach(visit);
  }

  /** A node near the query, where walks begin; noSlot when there is none. */
  Slot near(Probe& query) const {
    const Slot start = entry();
    return start == noSlot ? noSlot : descend(query, start, nodes.levelOf(start), 0);
  }

  /** Linked nodes, and those of them that are alive. */
  uint32_t length() const { return length_.load(std::memory_order_relaxed); }
  uint32_t live() const { return live_.load(std::memory_order_relaxed); }
  /** Nodes that no walk reached when they were looked for, and those of them that were linked anew. */
  uint64_t missed() const { return missed_.load(std::memory_order_relaxed); }
  uint64_t relinked() const { return relinked_.load(std::memory_order_relaxed); }
  size_t bytes() { return nodes.bytes() + twins_.bytes(); }

  Slot entry() const { return entry_.load(std::memory_order_acquire); }

  /** A mapped chunk whose checksum has not been compared yet. */
  struct Unproven {
    size_t chunk;
    uint32_t checksum;
  };
  /** What a file says of a graph besides its nodes. */
  struct Saved {
    Slot entry;
    uint32_t length;
    float normMax, noiseMax, outlierNorm;
    std::vector<float> centre;
    /** Of the row of each slot. */
    std::vector<uint32_t> hashes;
    std::vector<Unproven> unproven;
  };
  /** Takes over nodes that a file filled, before the graph is shared. */
  void adopt(Saved saved);
  /** Chunks that have to be proven before anything is inserted or saved. Searches may begin: no link leads astray. */
  size_t unproven() const { return unproven_.size(); }
  bool isProven() const { return proven_.load(std::memory_order_acquire) == unproven_.size(); }
  /**
   * Compares one of them with its checksum, on any thread.
   *
   * @param keepsMapped leaves it in the file; else it gets memory of its own
   * @throws std::runtime_error when it is damaged
   */
  void prove(size_t i, bool keepsMapped);

 private:
  static constexpr VisitsMax everything{~size_t{0}};

  /** Begins with the nodes in scratch.unseen; what it finds is in scratch.found. */
  template <class Patience, class Accept>
  bool explore(Probe& query, size_t ef, Patience patience, const Accept& accept, Scratch& scratch) const;
  /** The same on any layer; what it finds is in `kept`, which was started for so many. */
  template <class Kept, class Patience, class Accept>
  bool walk(Probe& query, uint32_t level, Kept& kept, Patience patience, const Accept& accept, Scratch& scratch) const;
  /**
   * Links that a new node chooses on layer 0. The paper has M; with half as many again walks with the same ef find more
   * of the nearest.
   */
  uint32_t ownLinksMax() const { return options.M + options.M / 2; }
  /**
   * Candidates for them: of many two fifths of what is asked for, which make a better graph of so many links than all
   * of them make of M. Of few candidates the choice depends on each.
   */
  size_t candidatesMax() const {
    return std::max(options.efConstruction * 2 / 5, std::min(options.efConstruction, 5 * options.M));
  }
  /** Links that a node has to have; where the candidates do not give as many, more of them are looked at. */
  uint32_t enoughLinks() const { return options.M / 2; }
  Slot descend(Probe& query, Slot from, uint32_t level, uint32_t toLevel) const;
  void gather(Slot slot, uint32_t level, Scratch& scratch) const;
  void link(Slot slot, Slot start, const Rows& rows);
  void hang(Slot twin, Slot first);
  bool isBehind(Candidate candidate, const std::vector<Slot>& chosen, bool samePlaceOnly, const Rows& rows) const;
  /** The first `settled` are sorted, and none of them is behind another. */
  struct Chosen {
    std::vector<Slot> slots;
    uint32_t settled = 0;
  };
  /** Out of the nearest `candidates`, which are in scratch.shortlist then, nearest first. */
  Chosen choose(Probe& query, uint32_t level, Slot near, size_t candidates, const Rows& rows, Scratch& scratch) const;
  /** Whether they show that more candidates would give much better links. */
  bool needsMore(const Chosen& chosen, const Shortlist& shortlist) const;
  /** @param settled those of the candidates that were so when they were chosen before */
  Chosen select(const std::vector<Candidate>& sorted, const std::vector<Slot>& settled, uint32_t max,
                const Rows& rows) const;
  void selectAmong(const std::vector<Candidate>& sorted, const std::vector<Slot>& settled, uint32_t max, bool ofUse,
                   const Rows& rows, Chosen& chosen) const;
  static void store(Link* links, const Chosen& chosen);
  void connect(Slot from, Slot to, uint32_t level, const Rows& rows);
  void replace(Link* links, Slot from, Slot to, uint32_t level, const Rows& rows);
  void raiseEntry(Slot slot);
  bool reaches(Probe& query, Slot slot, size_t ef, Scratch& scratch) const;
  bool addBridge(Slot slot, const std::vector<Candidate>& near, int lengthMax);
  Probe probe(Slot slot, const Rows& rows) const {
    return Probe(space, nodes, rows, rows.row(slot), space.originOf(nodes.code(slot)));
  }
  /** The same, where codes are packed from the row, which tells more. */
  Probe finerProbe(Slot slot, const Rows& rows) const {
    const float* row = rows.row(slot);
    return space.isPacked() ? Probe(space, nodes, rows, row, space.originOf(row)) : probe(slot, rows);
  }

  /** Where every walk begins: a node of the highest layer. */
  std::atomic<Slot> entry_{noSlot};
  std::atomic<uint32_t> length_{0};
  std::atomic<uint32_t> live_{0};
  std::atomic<uint64_t> missed_{0};
  std::atomic<uint64_t> relinked_{0};
  uint64_t epoch_ = 1;
  std::vector<Unproven> unproven_;
  /** How many of them are. */
  std::atomic<size_t> proven_{0};
  std::once_flag learning_;
  Twins twins_{nodes};
  Outliers outliers_{nodes};
};

template <class Patience, class Accept>
bool Graph::search(Probe& query, size_t ef, Patience patience, const Accept& accept, Scratch& scratch) const {
  scratch.found.clear();
  const Slot start = entry();
  if (start == noSlot) return true;
  const Slot near = descend(query, start, nodes.levelOf(start), 0);
  scratch.unseen.assign(1, near);
  forOutliers([&](Slot slot) {
    if (slot != near) scratch.unseen.push_back(slot);
  });
  return explore(query, ef, patience, accept, scratch);
}

template <class Patience, class Accept>
bool Graph::searchOn(Probe& query, size_t ef, Patience patience, const Accept& accept, Scratch& scratch) const {
  scratch.unseen.clear();
  for (const Candidate found : scratch.found) scratch.unseen.push_back(slotOf(found));
  return explore(query, ef, patience, accept, scratch);
}

template <class Visit>
void Graph::forTwins(Slot slot, const Visit& visit) const {
  if (nodes.isPlain(slot) || !nodes.life(slot).hasTwins()) return;
  // In a damaged file the list may lead anywhere, and in a circle.
  uint32_t left = length();
  for (uint32_t next = nodes.twin(slot).load(std::memory_order_acquire); next != 0 && left > 0; left--) {
    const Slot twin = next - 1;
    if (twin >= nodes.slots() || !nodes.life(twin).isTwin() || !visit(twin)) return;
    next = nodes.twin(twin).load(std::memory_order_acquire);
  }
}

template <class Patience, class Accept>
bool Graph::explore(Probe& query, size_t ef, Patience patience, const Accept& accept, Scratch& scratch) const {
  scratch.heaps.start(ef);
  const bool ended = walk(query, 0, scratch.heaps, patience, accept, scratch);
  scratch.heaps.moveTo(scratch.found);
  return ended;
}

/** SEARCH-LAYER, algorithm 2 of the paper. */
template <class Kept, class Patience, class Accept>
bool Graph::walk(Probe& query, uint32_t level, Kept& kept, Patience patience, const Accept& accept,
                 Scratch& scratch) const {
  auto& unseen = scratch.unseen;
  auto& distances = scratch.distances;
  scratch.visited.start(nodes.capacity());
  for (const Slot start : unseen) scratch.visited.insert(start);
  // The links of the node that comes next are asked for as soon as it shows which it is.
  const auto keep = [&](Candidate reached) {
    const Slot slot = slotOf(reached);
    const Candidate dropped = kept.keep(reached, accept(slot));
    if (kept.ahead() == slot) nodes.prefetchLinks(slot, level);
    return dropped;
  };
  for (;;) {
    // First all distances: what is done with one cannot be predicted, and would hold up the next.
    distances.resize(unseen.size());
    for (size_t i = 0; i < unseen.size(); i++) distances[i] = query.candidate(unseen[i]);
    if (kept.isFull()) query.lookAtKept(kept.kept());
    for (const Candidate reached : distances) {
      Candidate dropped = kept.keeps(reached) ? keep(reached) : reached;
      while (dropped != noCandidate && query.mayHide(dropped, kept.last())) {
        const Candidate sure = query.candidateByRow(slotOf(dropped));
        dropped = sure != dropped && kept.keeps(sure) ? keep(sure) : noCandidate;
      }
    }
    const Slot next = kept.next();
    if (next == noSlot) return true;
    if (!patience.goesOn(unseen)) return false;
    gather(next, level, scratch);
    if (const Slot ahead = kept.ahead(); ahead != noSlot) nodes.prefetchLinks(ahead, level);
  }
}

}  // namespace vstore

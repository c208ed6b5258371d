/** The life of a graph: nodes are born, linked and die. */
#include "graph.h"

#include <thread>

namespace vstore {
namespace {

/** Held for some microseconds: while the links of one node are changed. */
class NodeLock {
 public:
  explicit NodeLock(std::atomic<bool>& flag) : flag_(flag) {
    while (flag_.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
  }
  ~NodeLock() { flag_.store(false, std::memory_order_release); }
  NodeLock(const NodeLock&) = delete;
  NodeLock& operator=(const NodeLock&) = delete;

 private:
  std::atomic<bool>& flag_;
};

/** A list may be changing: it is never longer than its memory, and its links are whole nodes. */
uint32_t countOf(const Link* links) { return links[0].load(std::memory_order_acquire); }
Slot linkAt(const Link* links, uint32_t i) { return links[1 + i].load(std::memory_order_acquire); }

void store(Link* links, const std::vector<Slot>& slots) {
  for (size_t i = 0; i < slots.size(); i++) links[1 + i].store(slots[i], std::memory_order_release);
  links[0].store(static_cast<uint32_t>(slots.size()), std::memory_order_release);
}

}  // namespace

Graph::Graph(const GraphOptions& given)
    : options(given),
      space(given.dimensions, given.metric, given.quantization),
      nodes(space.bytes(), given.M) {}

void Graph::setLive(Slot slot) {
  nodes.reserve(slot);
  if (nodes.node(slot).life.isAlive()) return;
  if (nodes.node(slot).life.setDeath(Life::alive)) live_.fetch_add(1, std::memory_order_relaxed);
}

void Graph::kill(Slot slot) {
  if (slot >= nodes.slots() || !nodes.node(slot).life.isAlive()) return;
  if (nodes.node(slot).life.setDeath(++epoch_)) live_.fetch_sub(1, std::memory_order_relaxed);
}

void Graph::adopt(Slot entry, uint32_t length) {
  entry_.store(entry, std::memory_order_release);
  length_.store(length, std::memory_order_relaxed);
}

/** INSERT, algorithm 1 of the paper. */
void Graph::insert(Slot slot, const float* row) {
  Node& node = nodes.node(slot);
  space.encode(row, node.code);
  nodes.createUpper(slot);
  Slot start = noSlot;
  if (!entry_.compare_exchange_strong(start, slot)) {
    // Neighbours are found from the top down, but linked from the bottom up: whoever reaches the node on
    // one layer can go on from it in those below.
    const uint32_t top = nodes.levelOf(start);
    std::vector<std::vector<Slot>> neighbours(std::min(top, nodes.levelOf(slot)) + 1);
    Slot near = descend(node.code, start, top, static_cast<uint32_t>(neighbours.size()) - 1);
    Scratch& scratch = Scratch::ofThread();
    for (auto level = static_cast<uint32_t>(neighbours.size()); level-- > 0;) {
      const auto any = [](Slot) { return true; };
      explore(node.code, near, level, options.efConstruction, everything, any, scratch);
      near = slotOf(scratch.found.front());
      neighbours[level] = select(scratch.found, options.M);
    }
    for (uint32_t level = 0; level < neighbours.size(); level++) {
      for (const Slot neighbour : neighbours[level]) connect(slot, neighbour, level);
      for (const Slot neighbour : neighbours[level]) connect(neighbour, slot, level);
    }
    raiseEntry(slot);
  }
  length_.fetch_add(1, std::memory_order_relaxed);
  if (node.life.setLinked()) live_.fetch_add(1, std::memory_order_relaxed);
}

void Graph::raiseEntry(Slot slot) {
  Slot current = entry();
  while (nodes.levelOf(slot) > nodes.levelOf(current)) {
    if (entry_.compare_exchange_weak(current, slot)) return;
  }
}

/** Walks to the nearest node of each layer above `toLevel`, and returns that of the last. */
Slot Graph::descend(const Code& query, Slot from, uint32_t level, uint32_t toLevel) const {
  Candidate nearest = candidate(query, from);
  for (; level > toLevel; level--) {
    for (Slot start = noSlot; start != slotOf(nearest);) {
      start = slotOf(nearest);
      const Link* links = nodes.links(start, level);
      const uint32_t count = countOf(links);
      for (uint32_t i = 0; i < count; i++) nearest = std::min(nearest, candidate(query, linkAt(links, i)));
    }
  }
  return slotOf(nearest);
}

/** The linked nodes that the walk has not seen, on their way into the cache. */
void Graph::gather(const Link* links, Scratch& scratch) const {
  const uint32_t count = countOf(links);
  scratch.unseen.resize(count);
  // Whether a node was seen cannot be predicted, so nothing branches on it.
  size_t unseen = 0;
  for (uint32_t i = 0; i < count; i++) {
    const Slot slot = linkAt(links, i);
    scratch.unseen[unseen] = slot;
    unseen += scratch.visited.insert(slot);
  }
  scratch.unseen.resize(unseen);
  for (const Slot slot : scratch.unseen) nodes.prefetch(slot);
}

/** SELECT-NEIGHBORS-HEURISTIC, algorithm 4; the dead are taken only where the living leave room. */
std::vector<Slot> Graph::select(const std::vector<Candidate>& sorted, uint32_t max) const {
  std::vector<Slot> chosen;
  chosen.reserve(max);
  selectAmong(sorted, max, true, chosen);
  selectAmong(sorted, max, false, chosen);
  return chosen;
}

/** A candidate that is nearer to one already chosen than to the node is reached through that one. */
void Graph::selectAmong(const std::vector<Candidate>& sorted, uint32_t max, bool alive,
                        std::vector<Slot>& chosen) const {
  for (const Candidate next : sorted) {
    const Slot slot = slotOf(next);
    if (chosen.size() >= max) return;
    if (nodes.node(slot).life.isAlive() != alive) continue;
    const auto isNear = [&](Slot other) { return isNearer(makeCandidate(distance(slot, other), slot), next); };
    if (std::none_of(chosen.begin(), chosen.end(), isNear)) chosen.push_back(slot);
  }
}

/** Links one way. Where there is no room, the list is chosen anew. */
void Graph::connect(Slot from, Slot to, uint32_t level) {
  const NodeLock lock(nodes.lock(from));
  Link* links = nodes.links(from, level);
  const uint32_t count = countOf(links);
  for (uint32_t i = 0; i < count; i++) {
    if (linkAt(links, i) == to) return;
  }
  if (count == nodes.linksMax(level)) return replace(links, from, to, level);
  links[1 + count].store(to, std::memory_order_release);
  links[0].store(count + 1, std::memory_order_release);
}

void Graph::replace(Link* links, Slot from, Slot to, uint32_t level) {
  const Code& code = nodes.node(from).code;
  std::vector<Candidate> candidates = {candidate(code, to)};
  const uint32_t count = countOf(links);
  for (uint32_t i = 0; i < count; i++) candidates.push_back(candidate(code, linkAt(links, i)));
  std::sort(candidates.begin(), candidates.end());
  store(links, select(candidates, nodes.linksMax(level)));
}

}  // namespace vstore

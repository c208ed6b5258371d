/** The life of a graph: nodes are born, linked and die. */
#include "graph/graph.h"

#include <stdexcept>
#include <thread>

#include "crc32.h"

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

constexpr auto acceptAll = [](Slot) { return true; };

}  // namespace

Graph::Graph(const GraphOptions& given)
    : options(given),
      space(given.dimensions, given.metric, given.quantization),
      nodes(space.bytes(), given.M) {}

void Graph::setLive(Slot slot) {
  nodes.reserve(slot);
  if (nodes.life(slot).isAlive()) return;
  if (nodes.life(slot).setDeath(Life::alive)) live_.fetch_add(1, std::memory_order_relaxed);
  if (!nodes.life(slot).hasTwins() && !nodes.life(slot).isTwin()) nodes.setPlain(slot);
}

void Graph::kill(Slot slot) {
  if (slot >= nodes.slots() || !nodes.life(slot).isAlive()) return;
  if (nodes.life(slot).setDeath(++epoch_)) live_.fetch_sub(1, std::memory_order_relaxed);
  nodes.unsetPlain(slot);
}

void Graph::adopt(Saved saved) {
  // A graph keeps its centre, also where it was too small for one; only an empty one still learns it.
  if (saved.length > 0) std::call_once(learning_, [&] { space.setCentre(std::move(saved.centre)); });
  if (saved.length > 0) space.setOutlierNorm(saved.outlierNorm);
  space.noteLargest(saved.normMax, saved.noiseMax);
  std::vector<Slot> firsts;
  for (Slot slot = 0; slot < nodes.slots(); slot++) {
    const Life& life = nodes.life(slot);
    if (life.isLinked() && !life.isTwin()) firsts.push_back(slot);
    if (life.isOutlier()) outliers_.note(slot);
  }
  twins_.adopt(firsts, saved.hashes);
  entry_.store(saved.entry, std::memory_order_release);
  length_.store(saved.length, std::memory_order_relaxed);
  unproven_ = std::move(saved.unproven);
}

void Graph::prove(size_t i, bool keepsMapped) {
  const auto [chunk, checksum] = unproven_[i];
  const size_t bytes = nodes.regionBytes();
  const auto isSound = [&](const std::byte* region) { return crc32(region, bytes) == checksum; };
  nodes.fetch(chunk);
  if (!(keepsMapped ? isSound(nodes.region(chunk)) : nodes.own(chunk, isSound))) {
    throw std::runtime_error("nodes of the saved graph do not match their checksum");
  }
  proven_.fetch_add(1, std::memory_order_release);
}

void Graph::learn(const Rows& rows) {
  constexpr Slot vectorsMax = 1024;
  std::call_once(learning_, [&] {
    const auto slots = static_cast<Slot>(std::min<uint64_t>(nodes.slots(), rows.end()));
    std::vector<const float*> vectors;
    for (Slot slot = 0; slot < slots; slot += 1 + slots / vectorsMax) {
      if (nodes.life(slot).isAlive()) vectors.push_back(rows.row(slot));
    }
    space.setCentre(space.centreOf(vectors));
    space.setOutlierNorm(space.outlierNormOf(vectors));
  });
}

void Graph::insert(Slot slot, const Rows& rows) {
  Code& code = nodes.code(slot);
  const float* row = rows.row(slot);
  code.hash = hashOf(row, options.dimensions);
  const auto isSame = [&](Slot other) { return std::equal(row, row + options.dimensions, rows.row(other)); };
  nodes.noteUpper(nodes.upperBytesOf(slot));
  const Slot first = twins_.findOrNote(slot, isSame);
  if (first != noSlot) {
    hang(slot, first);
  } else {
    space.encode(row, code);
    space.note(code);
    if (space.isOutlier(code)) nodes.life(slot).setOutlier();
    Slot start = noSlot;
    if (!entry_.compare_exchange_strong(start, slot)) link(slot, start, rows);
    if (space.isOutlier(code)) outliers_.note(slot);
  }
  length_.fetch_add(1, std::memory_order_relaxed);
  if (nodes.life(slot).setLinked()) live_.fetch_add(1, std::memory_order_relaxed);
}

void Graph::hang(Slot twin, Slot first) {
  nodes.life(twin).setTwin();
  nodes.unsetPlain(twin);
  const NodeLock lock(nodes.lock(first));
  nodes.twin(twin).store(nodes.twin(first).load(std::memory_order_relaxed), std::memory_order_relaxed);
  nodes.twin(first).store(twin + 1, std::memory_order_release);
  nodes.life(first).setHasTwins();
  nodes.unsetPlain(first);
}

void Graph::mend(Slot slot, const Rows& rows) {
  constexpr int chainsMax = 4, chainLengthMax = 16;
  const Life& life = nodes.life(slot);
  if (!life.isLinked() || life.isTwin() || !life.isOfUse()) return;
  Scratch& scratch = Scratch::ofThread();
  Probe query = finerProbe(slot, rows);
  // Nearly every vector is found by the first, at a fifth of the cost of the second.
  if (reaches(query, slot, 4, scratch) || reaches(query, slot, 32, scratch)) return;
  missed_.fetch_add(1, std::memory_order_relaxed);
  // A walk goes on from each node that it keeps. Where the nearest have a bridge already, one farther away has none.
  bool isLinked = addBridge(slot, scratch.found, 1);
  if (!isLinked && reaches(query, slot, 128, scratch)) return;
  isLinked = isLinked || addBridge(slot, scratch.found, 1);
  for (int i = 0; i < chainsMax && !isLinked; i++) {
    if (!addBridge(slot, scratch.found, chainLengthMax)) break;
    isLinked = reaches(query, slot, 32, scratch);
  }
  if (isLinked) relinked_.fetch_add(1, std::memory_order_relaxed);
}

/**
 * Whether a search for the vector of a node finds it, or only what is nearer; what it finds is in scratch.found. Under
 * IP a vector is seldom the nearest to itself.
 */
bool Graph::reaches(Probe& query, Slot slot, size_t ef, Scratch& scratch) const {
  search(query, ef, everything, acceptAll, scratch);
  const auto& found = scratch.found;
  const auto isIt = [slot](Candidate candidate) { return slotOf(candidate) == slot; };
  if (std::any_of(found.begin(), found.end(), isIt)) return true;
  if (options.metric != Metric::ip || found.size() < ef) return false;
  const Candidate itself = query.candidateByRow(slot);
  const auto isNear = [&](Candidate near) { return !isNearer(itself, query.candidateByRow(slotOf(near))); };
  return std::all_of(found.begin(), found.end(), isNear);
}

/**
 * Links to a node from one of those near it, the nearest that has no bridge yet. When all have one, the nodes behind
 * them are next, up to the length of such a chain. False when there is none, or it is linked so already.
 */
bool Graph::addBridge(Slot slot, const std::vector<Candidate>& near, int lengthMax) {
  std::vector<Slot> ends;
  for (const Candidate found : near) ends.push_back(slotOf(found));
  for (int length = 0; length < lengthMax; length++) {
    for (Slot& end : ends) {
      uint32_t bridge = 0;
      if (end == slot) return false;
      if (nodes.bridge(end).compare_exchange_strong(bridge, slot + 1)) return true;
      end = bridge - 1;
    }
  }
  return false;
}

/** INSERT, algorithm 1 of the paper. */
void Graph::link(Slot slot, Slot start, const Rows& rows) {
  // Neighbours are found from the top down, but linked from the bottom up: a walk that reaches the node on one layer
  // can go on from it in those below.
  const uint32_t top = nodes.levelOf(start);
  std::vector<Chosen> neighbours(std::min(top, nodes.levelOf(slot)) + 1);
  Probe query = finerProbe(slot, rows);
  Slot near = descend(query, start, top, static_cast<uint32_t>(neighbours.size()) - 1);
  Scratch& scratch = Scratch::ofThread();
  for (auto level = static_cast<uint32_t>(neighbours.size()); level-- > 0;) {
    Chosen& chosen = neighbours[level];
    chosen = choose(query, level, near, candidatesMax(), rows, scratch);
    near = slotOf(scratch.shortlist.kept().front());
    if (candidatesMax() < options.efConstruction && needsMore(chosen, scratch.shortlist)) {
      chosen = choose(query, level, near, options.efConstruction, rows, scratch);
    }
  }
  for (uint32_t level = 0; level < neighbours.size(); level++) {
    store(nodes.links(slot, level), neighbours[level]);
    for (const Slot neighbour : neighbours[level].slots) connect(neighbour, slot, level, rows);
  }
  raiseEntry(slot);
}

Graph::Chosen Graph::choose(Probe& query, uint32_t level, Slot near, size_t candidates, const Rows& rows,
                            Scratch& scratch) const {
  scratch.unseen.assign(1, near);
  scratch.shortlist.start(candidates);
  walk(query, level, scratch.shortlist, everything, acceptAll, scratch);
  return select(scratch.shortlist.kept(), {}, level == 0 ? ownLinksMax() : options.M, rows);
}

/**
 * Where some nodes are nearer to all others than those are to each other, nearly all candidates are behind those few. In
 * many dimensions hardly any is behind another, the nearest of them are all that is chosen, and walks easily miss some.
 */
bool Graph::needsMore(const Chosen& chosen, const Shortlist& shortlist) const {
  // A walk for more would find no other.
  if (!shortlist.isFull()) return false;
  if (chosen.settled < enoughLinks()) return true;
  const auto& candidates = shortlist.kept();
  const size_t looked = std::min<size_t>(candidates.size(), chosen.settled * 3 / 2);
  const auto isLast = [&](Candidate each) { return slotOf(each) == chosen.slots.back(); };
  return chosen.settled >= options.M && std::any_of(candidates.begin(), candidates.begin() + looked, isLast);
}

void Graph::raiseEntry(Slot slot) {
  Slot current = entry();
  while (nodes.levelOf(slot) > nodes.levelOf(current)) {
    if (entry_.compare_exchange_weak(current, slot)) return;
  }
}

/** Walks to the nearest node of each layer above `toLevel`, and returns that of the last. */
Slot Graph::descend(Probe& query, Slot from, uint32_t level, uint32_t toLevel) const {
  Candidate nearest = query.candidate(from);
  for (; level > toLevel; level--) {
    for (Slot start = noSlot; start != slotOf(nearest);) {
      start = slotOf(nearest);
      const Link* links = nodes.links(start, level);
      const uint32_t count = countOf(links);
      for (uint32_t i = 0; i < count; i++) nodes.prefetch(linkAt(links, i));
      for (uint32_t i = 0; i < count; i++) nearest = std::min(nearest, query.candidate(linkAt(links, i)));
    }
  }
  return slotOf(nearest);
}

/**
 * The linked nodes that the walk has not seen, on their way into the cache. Links may be any number until the graph is
 * proven: those to no slot are seen already.
 */
void Graph::gather(Slot from, uint32_t level, Scratch& scratch) const {
  const Link* links = nodes.links(from, level);
  const uint32_t count = countOf(links, nodes.linksMax(level));
  scratch.unseen.resize(count + 1);
  // Whether a node was seen cannot be predicted, so nothing branches on it.
  size_t unseen = 0;
  for (uint32_t i = 0; i < count; i++) {
    const Slot slot = linkAt(links, i);
    scratch.unseen[unseen] = slot;
    unseen += scratch.visited.insert(slot);
  }
  if (level == 0) {
    const uint32_t bridge = nodes.bridge(from).load(std::memory_order_acquire);
    if (bridge != 0 && scratch.visited.insert(bridge - 1)) scratch.unseen[unseen++] = bridge - 1;
  }
  scratch.unseen.resize(unseen);
  for (const Slot slot : scratch.unseen) nodes.prefetch(slot);
}

/**
 * SELECT-NEIGHBORS-HEURISTIC, algorithm 4; the dead are taken only where the living leave room. Some of those that it
 * passes over are taken where it leaves few: around a vector in the middle of all others it would leave that one alone.
 */
Graph::Chosen Graph::select(const std::vector<Candidate>& sorted, const std::vector<Slot>& settled, uint32_t max,
                            const Rows& rows) const {
  Chosen chosen;
  selectAmong(sorted, settled, max, true, rows, chosen);
  chosen.settled = static_cast<uint32_t>(chosen.slots.size());
  selectAmong(sorted, settled, max, false, rows, chosen);
  const uint32_t enough = std::min(max, enoughLinks());
  for (size_t i = 0; i < sorted.size() && chosen.slots.size() < enough; i++) {
    const Slot slot = slotOf(sorted[i]);
    const bool isChosen = std::find(chosen.slots.begin(), chosen.slots.end(), slot) != chosen.slots.end();
    if (!isChosen && !isBehind(sorted[i], chosen.slots, true, rows)) chosen.slots.push_back(slot);
  }
  return chosen;
}

/** Of two settled candidates neither is behind the other, so only pairs with another one are compared. */
void Graph::selectAmong(const std::vector<Candidate>& sorted, const std::vector<Slot>& settled, uint32_t max,
                        bool ofUse, const Rows& rows, Chosen& chosen) const {
  auto nextSettled = settled.begin();
  std::vector<Slot> others;
  if (!ofUse) others = chosen.slots;
  for (const Candidate next : sorted) {
    const Slot slot = slotOf(next);
    if (chosen.slots.size() >= max) return;
    const bool isSettled = nextSettled != settled.end() && *nextSettled == slot;
    nextSettled += isSettled;
    if (nodes.life(slot).isOfUse() != ofUse) continue;
    if (isBehind(next, isSettled ? others : chosen.slots, false, rows)) continue;
    chosen.slots.push_back(slot);
    if (!isSettled) others.push_back(slot);
  }
}

/**
 * A candidate that is nearer to one already chosen than to the node is reached through that one. So is one in the same
 * place as a chosen one, also when the node itself is in that place: otherwise candidates of one place would fill the
 * list. Nothing but outliers is behind an outlier: that is near to half of all nodes, which do not lie near each other.
 */
bool Graph::isBehind(Candidate candidate, const std::vector<Slot>& chosen, bool samePlaceOnly, const Rows& rows) const {
  if (chosen.empty()) return false;
  const bool hasPlaces = options.metric != Metric::ip;
  Probe query = probe(slotOf(candidate), rows);
  // As walks compare, which is quicker. Under COSINE no other distance becomes 0 where it is cut to a candidate.
  const Candidate samePlace = makeCandidate(0.0, 0);
  const auto isNearQuickly = [&](Slot other) {
    const Candidate near = query.candidate(other);
    return !isNearer(samePlace, near) || (!samePlaceOnly && isNearer(near, candidate));
  };
  const bool isOutlier = nodes.life(slotOf(candidate)).isOutlier();
  const auto isNear = [&](Slot other) {
    if (!isOutlier && nodes.life(other).isOutlier()) return false;
    const double distance = query.distance(other);
    if (hasPlaces && distance == 0) return true;
    return !samePlaceOnly && isNearer(makeCandidate(distance, other), candidate);
  };
  if (query.isQuick()) return std::any_of(chosen.begin(), chosen.end(), isNearQuickly);
  return std::any_of(chosen.begin(), chosen.end(), isNear);
}

void Graph::store(Link* links, const Chosen& chosen) {
  const auto count = static_cast<uint32_t>(chosen.slots.size());
  for (uint32_t i = 0; i < count; i++) links[1 + i].store(chosen.slots[i], std::memory_order_release);
  links[0].store(ListHead(count, chosen.settled).word(), std::memory_order_release);
}

/** Links one way. Where there is no room, the list is chosen anew. */
void Graph::connect(Slot from, Slot to, uint32_t level, const Rows& rows) {
  const NodeLock lock(nodes.lock(from));
  Link* links = nodes.links(from, level);
  const ListHead head = headOf(links);
  for (uint32_t i = 0; i < head.count; i++) {
    if (linkAt(links, i) == to) return;
  }
  if (head.count == nodes.linksMax(level)) return replace(links, from, to, level, rows);
  links[1 + head.count].store(to, std::memory_order_release);
  links[0].store(ListHead(head.count + 1, head.settled).word(), std::memory_order_release);
}

void Graph::replace(Link* links, Slot from, Slot to, uint32_t level, const Rows& rows) {
  Probe query = probe(from, rows);
  std::vector<Candidate> candidates = {query.candidate(to)};
  const ListHead head = headOf(links);
  std::vector<Slot> settled;
  for (uint32_t i = 0; i < head.count; i++) {
    candidates.push_back(query.candidate(linkAt(links, i)));
    if (i < head.settled) settled.push_back(linkAt(links, i));
  }
  std::sort(candidates.begin(), candidates.end());
  store(links, select(candidates, settled, nodes.linksMax(level), rows));
}

}  // namespace vstore

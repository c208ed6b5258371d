/** The plans of filtered.h. */
#include "filtered.h"

namespace vstore {
namespace {

/** Nodes that a walk looks at per candidate that it keeps, about. */
constexpr size_t visitsPerCandidate = 16;
/** How many codes are compared in order in the time in which a walk looks at one node, which is anywhere in memory. */
constexpr size_t comparedPerVisit = 14;
/** A walk is given up when it has looked at so many nodes, as a share of the matches. */
constexpr size_t givenUpShare = 4;
/** From this share of matches on the usual walk takes no longer than one that asks whether nodes match. */
constexpr double walkShareMin = 0.8;
/** Matches at which a walk begins besides the node that is nearest of all. */
constexpr size_t seeds = 64;
/** Slots whose nodes are prefetched ahead of their comparison. */
constexpr size_t aheadSlots = 8;
/** Links to matches from which on a node's other links are not followed to a second hop, as a share of all. */
constexpr size_t matchingLinksShare = 2;

/** The nearest `ef` of what it is offered. */
void offer(std::vector<Candidate>& found, size_t ef, Candidate candidate) {
  if (found.size() < ef) {
    found.push_back(candidate);
    std::push_heap(found.begin(), found.end());
  } else if (candidate < found.front()) {
    replaceTop(found, candidate);
  }
}

/** A walk from match to match keeps so many times as many candidates: it finds its way less surely. */
constexpr size_t keptFactor = 2;
/** And so many times as many where matches are rarer around the query than elsewhere. */
constexpr size_t rareFactor = 3;

/** A twin has no code of its own. */
Candidate measured(const Graph& graph, Probe& query, Slot slot) {
  return graph.nodes.node(slot).life.isTwin() ? query.candidateByRow(slot) : query.candidate(slot);
}

class Hopping {
 public:
  Hopping(const Graph& graph, Probe& query, size_t ef, const Allowed& allowed, const Accept& accept, Scratch& scratch)
      : graph_(graph), query_(query), ef_(ef), allowed_(allowed), accept_(accept), scratch_(scratch) {}

  bool walk() {
    begin();
    const size_t looksMax = allowed_.count() / givenUpShare + ef_ * visitsPerCandidate;
    auto& [visited, frontier, found, unseen] = scratch_;
    if (isRareAround()) {
      ef_ *= rareFactor;
      gatheredMax_ *= rareFactor;
    }
    while (!frontier.empty() && (found.size() < ef_ || frontier.front() <= found.front())) {
      if (looks_ > looksMax) return false;
      const Slot next = slotOf(frontier.front());
      std::pop_heap(frontier.begin(), frontier.end(), nearestFirst_);
      frontier.pop_back();
      gather(next);
      look();
    }
    std::sort_heap(found.begin(), found.end());
    return true;
  }

 private:
  /**
   * Whether the node that is nearest of all has less than three quarters as many matches among its neighbours as there
   * are elsewhere. The wanted ones then lie on the rim of the matches, where links lead astray.
   */
  bool isRareAround() const {
    const Slot near = graph_.near(query_);
    if (near == noSlot) return false;
    const Link* links = graph_.nodes.links(near, 0);
    const uint32_t count = links[0].load(std::memory_order_acquire);
    size_t matching = 0;
    for (uint32_t i = 1; i <= count; i++) matching += allowed_.has(links[i].load(std::memory_order_acquire));
    return 4 * matching * graph_.length() < 3 * allowed_.count() * count;
  }

  void begin() {
    scratch_.frontier.clear();
    scratch_.found.clear();
    scratch_.unseen.clear();
    scratch_.visited.start(graph_.nodes.capacity());
    const Slot near = graph_.near(query_);
    if (near == noSlot) return;
    scratch_.visited.insert(near);
    scratch_.unseen.push_back(near);
    const uint64_t slots = graph_.nodes.slots();
    for (size_t i = 0; i < seeds; i++) {
      const Slot seed = allowed_.next(slots * i / seeds);
      if (seed == noSlot || !accept_(seed) || graph_.nodes.node(seed).life.isTwin()) continue;
      if (scratch_.visited.insert(seed)) scratch_.unseen.push_back(seed);
    }
    look();
  }

  /** Puts the gathered nodes where they belong. The first node may be no match; the walk only goes on from it. */
  void look() {
    auto& [visited, frontier, found, unseen] = scratch_;
    for (const Slot slot : unseen) {
      const Candidate reached = query_.candidate(slot);
      if (found.size() >= ef_ && reached > found.front()) continue;
      graph_.nodes.prefetchLinks(slot, 0);
      frontier.push_back(reached);
      std::push_heap(frontier.begin(), frontier.end(), nearestFirst_);
      if (accept_(slot)) offer(found, ef_, reached);
    }
    looks_ += unseen.size();
  }

  /** The matches within two hops that the walk has not seen. */
  void gather(Slot slot) {
    scratch_.unseen.clear();
    bridges_.clear();
    const Link* links = graph_.nodes.links(slot, 0);
    const uint32_t count = links[0].load(std::memory_order_acquire);
    size_t matching = 0;
    for (uint32_t i = 1; i <= count; i++) {
      const Slot next = links[i].load(std::memory_order_acquire);
      const bool matches = allowed_.has(next);
      matching += matches;
      if (!scratch_.visited.insert(next)) continue;
      if (matches) {
        add(next);
      } else {
        graph_.nodes.prefetch(next);
        bridges_.push_back(next);
      }
    }
    if (matching * matchingLinksShare >= graph_.nodes.linksMax(0)) return;
    for (const Slot bridge : bridges_) graph_.nodes.prefetchLinks(bridge, 0);
    for (const Slot bridge : bridges_) {
      if (scratch_.unseen.size() >= gatheredMax_) return;
      if (graph_.nodes.node(bridge).life.hasTwins()) scratch_.unseen.push_back(bridge);
      cross(bridge);
      looks_++;
    }
  }

  void cross(Slot bridge) {
    const Link* links = graph_.nodes.links(bridge, 0);
    const uint32_t count = links[0].load(std::memory_order_acquire);
    for (uint32_t i = 1; i <= count; i++) {
      const Slot next = links[i].load(std::memory_order_acquire);
      if (allowed_.has(next) && scratch_.visited.insert(next)) add(next);
    }
  }

  void add(Slot slot) {
    scratch_.unseen.push_back(slot);
    graph_.nodes.prefetch(slot);
  }

  const Graph& graph_;
  Probe& query_;
  size_t ef_;
  /** Nodes that one step may find. */
  size_t gatheredMax_ = graph_.nodes.linksMax(0);
  const Allowed& allowed_;
  const Accept& accept_;
  Scratch& scratch_;
  const std::greater<Candidate> nearestFirst_{};
  std::vector<Slot> bridges_;
  /** Nodes looked at, and lists of links. */
  size_t looks_ = 0;
};

}  // namespace

Plan planOf(const Graph& graph, size_t matches, size_t ef) {
  if (matches <= ef * visitsPerCandidate * comparedPerVisit) return Plan::compare;
  const bool nearlyAll = static_cast<double>(matches) >= walkShareMin * graph.length();
  return nearlyAll ? Plan::walk : Plan::hop;
}

void compareMatches(const Graph& graph, Probe& query, size_t ef, const Allowed& allowed, Slot end, const Accept& accept,
                    Scratch& scratch) {
  auto& [visited, frontier, found, unseen] = scratch;
  found.clear();
  unseen.clear();
  const auto compare = [&](size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
      const Slot slot = unseen[i];
      const Candidate candidate = measured(graph, query, slot);
      if ((found.size() < ef || candidate < found.front()) && accept(slot)) offer(found, ef, candidate);
    }
  };
  allowed.forEach(0, end, [&](Slot slot) {
    graph.nodes.prefetch(slot);
    unseen.push_back(slot);
    if (unseen.size() < aheadSlots * 2) return;
    compare(0, aheadSlots);
    std::copy(unseen.begin() + aheadSlots, unseen.end(), unseen.begin());
    unseen.resize(unseen.size() - aheadSlots);
  });
  compare(0, unseen.size());
  std::sort_heap(found.begin(), found.end());
}

bool hopMatches(const Graph& graph, Probe& query, size_t ef, const Allowed& allowed, const Accept& accept,
                Scratch& scratch) {
  return Hopping(graph, query, keptFactor * ef, allowed, accept, scratch).walk() && scratch.found.size() >= ef;
}

}  // namespace vstore

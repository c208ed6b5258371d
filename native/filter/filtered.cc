/** The plans of filtered.h. */
#include "filter/filtered.h"

#include <cmath>

namespace vstore {
namespace {

/** Nodes that a walk looks at per candidate that it keeps, about. */
constexpr double visitsPerCandidate = 16;
/** How many codes are compared in order in the time in which a walk looks at one node, which is anywhere in memory. */
constexpr double comparedPerVisit = 4;
/** A walk from match to match takes so many times as long as one without a filter. */
constexpr double hopFactor = 4;
/** From this share of matches on they cannot be rare around a query and many elsewhere to any purpose. */
constexpr double nearlyAll = 0.9;
/** Matches are rare around a query when their share is so much smaller there than elsewhere. */
constexpr double rareShare = 0.25;
/**
 * A little rarer than elsewhere: the matches that are wanted are then on the rim of where matches are, where links lead
 * astray. A walk takes about so many times as long there, and one from match to match keeps more candidates.
 */
constexpr double rimShare = 0.75;
constexpr double rimDetour = 5;
constexpr size_t rimFactor = 3;
/**
 * On such a rim a walk ends soon all the same where matches lie on the query's side: where, of a match and another node
 * anywhere, the match is the nearer one as often as not. Some of each are compared to judge that; 256 make an error of
 * 0.03, and 32 one of 0.07, hardly ever three times that.
 */
constexpr double nearSide = 0.5;
constexpr uint64_t samplesMax = 256, samplesFew = 32;
constexpr double errorOfFew = 0.22;
constexpr size_t samplesMin = 16;
/** A walk is given up when it has taken so many times as long as was expected, or as long as a comparison takes. */
constexpr double patience = 1.5;
/** But not before this share of that time. */
constexpr double worthTrying = 0.25;
/** It is judged after this share of it, unless a comparison takes so many times as long: then it may well end first. */
constexpr double judgedShare = 0.25;
constexpr double lostDetour = 6;
/** Matches at which a walk begins besides the node that is nearest of all. */
constexpr size_t seeds = 64;
/** Links to matches from which on a node's other links are not followed to a second hop, as a share of all. */
constexpr size_t matchingLinksShare = 2;

double shareOf(size_t matches, const Graph& graph) {
  return std::min(1.0, static_cast<double>(matches) / std::max(1u, graph.length()));
}

/** Nodes that a walk looks at where so many of them match, when it keeps as many matches as `keptOf` says. */
double visitsOf(double share, size_t ef) {
  return visitsPerCandidate * static_cast<double>(ef) / std::sqrt(std::max(share, 1e-9));
}

/** What takes the least time. @param detour how many times as long walks are as usual */
Plan planFor(size_t matches, double share, size_t ef, double detour = 1) {
  const double compare = static_cast<double>(matches) / comparedPerVisit;
  const double walk = detour * visitsOf(share, ef), hop = detour * hopFactor * visitsOf(1, ef);
  if (compare <= std::min(walk, hop)) return Plan::compare;
  return walk <= hop ? Plan::walk : Plan::hop;
}

/** The share of matches among the neighbours of the neighbours of the node that is nearest to the query. */
double shareAround(const Graph& graph, Probe& query, const Allowed& allowed) {
  const Slot near = graph.near(query);
  if (near == noSlot) return 0;
  const auto forLinks = [&](Slot slot, const auto& visit) {
    const Link* links = graph.nodes.links(slot, 0);
    const uint32_t count = countOf(links, graph.nodes.linksMax(0));
    for (uint32_t i = 0; i < count; i++) {
      if (linkAt(links, i) < graph.nodes.slots()) visit(linkAt(links, i));
    }
  };
  size_t looked = 1, matching = allowed.has(near);
  forLinks(near, [&](Slot next) { graph.nodes.prefetchLinks(next, 0); });
  forLinks(near, [&](Slot next) {
    forLinks(next, [&](Slot other) {
      looked++;
      matching += allowed.has(other);
    });
  });
  return static_cast<double>(matching) / static_cast<double>(looked);
}

/** Some nodes with a code of their own, which match or do not, from all over the slots: one of each part of them. */
std::vector<Slot> sampleOf(const Graph& graph, const Allowed& allowed, Slot slots, bool matching, uint64_t parts) {
  constexpr uint64_t looksMax = 64;
  std::vector<Slot> sample;
  for (uint64_t i = 0; i < parts; i++) {
    const uint64_t from = slots * i / parts, to = std::min<uint64_t>(from + looksMax, slots);
    const auto isWanted = [&](uint64_t slot) {
      return allowed.has(static_cast<Slot>(slot)) == matching && graph.nodes.isPlain(static_cast<Slot>(slot));
    };
    uint64_t slot = from;
    while (slot < to && !isWanted(slot)) slot++;
    if (slot < to) sample.push_back(static_cast<Slot>(slot));
  }
  return sample;
}

/** Their distances, nearest first. */
std::vector<Candidate> measuredInOrder(const Graph& graph, Probe& query, const std::vector<Slot>& sample) {
  for (const Slot slot : sample) graph.nodes.prefetch(slot);
  std::vector<Candidate> measured;
  for (const Slot slot : sample) measured.push_back(query.candidate(slot));
  std::sort(measured.begin(), measured.end());
  return measured;
}

/** How often a match is nearer to the query than another node, judged by some of each; nothing where there are few. */
std::optional<double> nearerShare(const Graph& graph, Probe& query, const Allowed& allowed, Slot end, uint64_t samples) {
  const auto measuredOf = [&](bool matching) {
    return measuredInOrder(graph, query, sampleOf(graph, allowed, end, matching, samples));
  };
  const std::vector<Candidate> matches = measuredOf(true), others = measuredOf(false);
  if (std::min(matches.size(), others.size()) < samplesMin) return std::nullopt;
  size_t nearer = 0, below = 0;
  for (const Candidate other : others) {
    while (below < matches.size() && matches[below] < other) below++;
    nearer += below;
  }
  return static_cast<double>(nearer) / static_cast<double>(matches.size() * others.size());
}

/** Whether matches are as near to the query as other nodes. A few tell, unless it is close. */
bool areOnNearSide(const Graph& graph, Probe& query, const Allowed& allowed, Slot end) {
  const std::optional<double> few = nearerShare(graph, query, allowed, end, samplesFew);
  if (few && std::fabs(*few - nearSide) > errorOfFew) return *few > nearSide;
  return nearerShare(graph, query, allowed, end, samplesMax).value_or(0) >= nearSide;
}

/** Nodes that a walk looks at before it is given up. @param compared those in the time of a comparison */
size_t walkedMax(double compared, double share, size_t ef) {
  return static_cast<size_t>(std::max(worthTrying * compared, std::min(patience * visitsOf(share, ef), compared)));
}

class Hopping {
 public:
  Hopping(const Graph& graph, Probe& query, size_t ef, const Allowed& allowed, const Accept& accept, Scratch& scratch)
      : graph_(graph), query_(query), ef_(ef), allowed_(allowed), accept_(accept), scratch_(scratch) {}

  bool walk(const Course& course) {
    const bool isOnRim = course.around < rimShare * shareOf(allowed_.count(), graph_);
    if (isOnRim) gatheredMax_ *= rimFactor;
    kept_.start(isOnRim ? ef_ * rimFactor : ef_);
    begin();
    for (Slot next = kept_.next(); next != noSlot; next = kept_.next()) {
      if (looks_ > course.visitsMax) return false;
      gather(next);
      look();
    }
    kept_.moveTo(scratch_.found);
    return true;
  }

 private:
  void begin() {
    scratch_.unseen.clear();
    scratch_.visited.start(graph_.nodes.capacity());
    const Slot near = graph_.near(query_);
    if (near == noSlot) return;
    scratch_.visited.insert(near);
    scratch_.unseen.push_back(near);
    const auto beginAt = [&](Slot slot) {
      if (accept_(slot) && scratch_.visited.insert(slot)) scratch_.unseen.push_back(slot);
    };
    for (size_t i = 0; i < seeds; i++) {
      const Slot seed = allowed_.next(uint64_t{graph_.nodes.slots()} * i / seeds);
      if (seed != noSlot && !graph_.nodes.life(seed).isTwin()) beginAt(seed);
    }
    graph_.forOutliers(beginAt);
    look();
  }

  /** Puts the gathered nodes where they belong. The first node may be no match; the walk only goes on from it. */
  void look() {
    for (const Slot slot : scratch_.unseen) {
      const Candidate reached = query_.candidate(slot);
      if (!kept_.keeps(reached)) continue;
      graph_.nodes.prefetchLinks(slot, 0);
      kept_.keep(reached, accept_(slot));
    }
    looks_ += scratch_.unseen.size();
  }

  /** The matches within two hops that the walk has not seen. */
  void gather(Slot slot) {
    scratch_.unseen.clear();
    bridges_.clear();
    const Link* links = graph_.nodes.links(slot, 0);
    const uint32_t count = countOf(links, graph_.nodes.linksMax(0));
    size_t matching = 0;
    for (uint32_t i = 0; i < count; i++) {
      const Slot next = linkAt(links, i);
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
      if (graph_.nodes.life(bridge).hasTwins()) scratch_.unseen.push_back(bridge);
      cross(bridge);
      looks_++;
    }
  }

  void cross(Slot bridge) {
    const Link* links = graph_.nodes.links(bridge, 0);
    const uint32_t count = countOf(links, graph_.nodes.linksMax(0));
    for (uint32_t i = 0; i < count; i++) {
      const Slot next = linkAt(links, i);
      if (allowed_.has(next) && scratch_.visited.insert(next)) add(next);
    }
  }

  void add(Slot slot) {
    scratch_.unseen.push_back(slot);
    graph_.nodes.prefetch(slot);
  }

  const Graph& graph_;
  Probe& query_;
  const size_t ef_;
  /** Nodes that one step may find. */
  size_t gatheredMax_ = graph_.nodes.linksMax(0);
  const Allowed& allowed_;
  const Accept& accept_;
  Scratch& scratch_;
  Heaps& kept_ = scratch_.heaps;
  std::vector<Slot> bridges_;
  /** Nodes looked at, and lists of links. */
  size_t looks_ = 0;
};

class Comparing {
 public:
  Comparing(const Graph& graph, Probe& query, size_t k, double limit, const Accept& accept, Scratch& scratch)
      : graph_(graph), query_(query), k_(k), accept_(accept), scratch_(scratch), limit_(limit) {}

  double all(const Allowed& allowed, Part part) {
    scratch_.most.clear();
    scratch_.compared.clear();
    allowed.forWords(part.from, part.to, [&](Slot first, uint64_t word) {
      const uint64_t plain = graph_.nodes.plainAround(first);
      gather(first, word & plain);
      Allowed::forBits(first, word & ~plain, [&](Slot slot) { lookClosely(slot); });
    });
    look();
    return limit_;
  }

 private:
  /** Keeps slots that are plain, so that nothing else has to be known of them. */
  void gather(Slot first, uint64_t word) {
    if (word == 0) return;
    if (count_ + slotsOfWord > std::size(slots_)) look();
    const size_t stride = graph_.nodes.codeStride();
    const auto* codes = reinterpret_cast<const std::byte*>(&graph_.nodes.code(first));
    size_t count = count_;
    Allowed::forBits(0, word, [&](Slot i) {
      slots_[count] = first + i;
      codes_[count] = reinterpret_cast<const Code*>(codes + i * stride);
      // The others are asked for while these are compared.
      if (count < codesAhead) prefetchLines(codes_[count], stride);
      count++;
    });
    count_ = count;
  }

  void look() {
    query_.forNear(slots_, codes_, count_, limit_, [&](const Probe::Range& range) { take(range); });
    count_ = 0;
  }

  void lookClosely(Slot slot) {
    if (accept_(slot)) take(query_.rangeOf(slot, graph_.nodes.life(slot).isTwin()));
  }

  void take(const Probe::Range& range) {
    if (range.least > limit_) return;
    scratch_.compared.push_back(makeCandidate(range.least, range.slot));
    auto& most = scratch_.most;
    if (most.size() < k_) {
      most.push_back(range.most);
      std::push_heap(most.begin(), most.end());
    } else if (range.most < most.front()) {
      std::pop_heap(most.begin(), most.end());
      most.back() = range.most;
      std::push_heap(most.begin(), most.end());
    }
    if (most.size() == k_) limit_ = std::min(limit_, most.front());
  }

  static constexpr size_t slotsOfWord = 64;
  const Graph& graph_;
  Probe& query_;
  const size_t k_;
  const Accept& accept_;
  Scratch& scratch_;
  double limit_;
  size_t count_ = 0;
  Slot slots_[Probe::rangesMax];
  const Code* codes_[Probe::rangesMax];
};

}  // namespace

Plan planOf(const Graph& graph, size_t matches, size_t ef) { return planFor(matches, shareOf(matches, graph), ef); }

Course courseOf(const Graph& graph, Probe& query, const Allowed& allowed, size_t matches, size_t ef, Slot end) {
  const double share = shareOf(matches, graph), compared = static_cast<double>(matches) / comparedPerVisit;
  // No walk is quicker, whatever is around the query.
  if (compared <= visitsOf(1, ef)) return {Plan::compare, share, 0};
  const double around = share >= nearlyAll ? share : shareAround(graph, query, allowed);
  const bool isOnRim = around < rimShare * share;
  const Plan plan =
      around < rareShare * share ? Plan::compare : planFor(matches, around, ef, isOnRim ? rimDetour : 1);
  if (plan == Plan::compare && isOnRim && planFor(matches, share, ef) == Plan::walk &&
      areOnNearSide(graph, query, allowed, end)) {
    return {Plan::walk, share, walkedMax(compared, share, ef)};
  }
  if (plan == Plan::walk && !isOnRim) {
    const bool isJudged = share < nearlyAll && compared <= lostDetour * visitsOf(around, ef);
    const auto judgedAt = static_cast<size_t>(isJudged ? judgedShare * visitsOf(around, ef) : 0);
    return {plan, around, walkedMax(compared, around, ef), judgedAt};
  }
  // A walk on the rim that is lost by then hardly ever ends sooner than a comparison.
  const double visits = std::max(isOnRim ? compared / 2 : compared, patience * visitsOf(around, ef));
  return {plan, around, static_cast<size_t>(visits)};
}

size_t keptOf(const Course& course, size_t ef) {
  return static_cast<size_t>(std::ceil(static_cast<double>(ef) * std::sqrt(course.around)));
}

double compareMatches(const Graph& graph, Probe& query, size_t k, const Allowed& allowed, Part part, double limit,
                      const Accept& accept, Scratch& scratch) {
  return Comparing(graph, query, k, limit, accept, scratch).all(allowed, part);
}

bool hopMatches(const Graph& graph, Probe& query, size_t ef, const Allowed& allowed, const Course& course,
                const Accept& accept, Scratch& scratch) {
  return Hopping(graph, query, ef, allowed, accept, scratch).walk(course) && scratch.found.size() >= ef;
}

}  // namespace vstore

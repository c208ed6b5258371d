/**
 * How the nearest of some slots are found.
 *
 * - compare: the code of each match is compared with the query, in the order of slots, then the rows of those that may
 *   be among the nearest by the error of their codes. No match is passed over, and it is quickest where they are few.
 * - walk: the graph is walked as without a filter, and what does not match is passed through.
 * - hop: where matches are rare and yet many, the walk goes from match to match, and through a node that does not match
 *   to that one's neighbours, two hops in all: ACORN-1 (Patel, Kraft, Guestrin and Zaharia 2024, "ACORN: Performant and
 *   predicate-agnostic search over vector embeddings and structured data").
 *
 * The quickest is chosen by how many of the nodes around the query match. Where hardly any of them does though many do
 * elsewhere, only far vectors match: a walk would lose its way on the rim of where they are, so they are compared.
 */
#pragma once
#include "filter/allowed.h"
#include "graph/graph.h"

namespace vstore {

/** Numbered as src/engine/index/native-addon.ts has them. */
enum class Plan : uint32_t { compare, hop, walk };

/** How to look for the nearest `ef` among `matches` of the nodes of a graph, which are everywhere. */
Plan planOf(const Graph& graph, size_t matches, size_t ef);

/** The same for one query, by what matches around it. */
struct Course {
  Plan plan;
  /** The share of the nodes around the query that match. */
  double around;
  /** Nodes that a walk may look at before comparing all takes less time. */
  size_t visitsMax;
  /** Nodes after which, and after twice as many, a walk is judged lost or not; 0 where it goes on all the same. */
  size_t judgedAt = 0;
};
/** @param end of the slots of which each is in the graph or dead: beyond, codes may be about to be written */
Course courseOf(const Graph& graph, Probe& query, const Allowed& allowed, size_t matches, size_t ef, Slot end);

/**
 * How long a walk goes on through what does not match. Around a query many may match that hardly ever do a little
 * farther away, where the nearest matches are far vectors: a walk then takes several times as long as it should. It
 * shows soon, as fewer of the nodes match that the walk looks at.
 */
class Patience {
 public:
  Patience(const Course& course, const Allowed& allowed)
      : visitsMax_(course.visitsMax), judgedAt_(course.judgedAt), around_(course.around), allowed_(allowed) {}

  bool goesOn(const std::vector<Slot>& looked) {
    visits_ += looked.size();
    if (judgements_ == 0 || judgedAt_ == 0) return visits_ <= visitsMax_;
    for (const Slot slot : looked) matches_ += allowed_.has(slot);
    if (visits_ < judgedAt_) return true;
    judgements_--;
    judgedAt_ *= 2;
    return static_cast<double>(matches_) >= lostShare * around_ * static_cast<double>(visits_);
  }

 private:
  /** Of 900 walks that ended as soon as they should two had less; of 27 that did not, 23 had. */
  static constexpr double lostShare = 0.6;
  const size_t visitsMax_;
  size_t judgedAt_;
  const double around_;
  const Allowed& allowed_;
  int judgements_ = 2;
  size_t visits_ = 0, matches_ = 0;
};

/**
 * Matches that a walk keeps to find as many of the nearest as one that keeps `ef` nodes where all match: it looks at
 * more nodes for each match, and so finds its way more surely.
 */
size_t keptOf(const Course& course, size_t ef);

/** What a search takes of the matches: those that are alive, and in the graph. */
using Accept = std::function<bool(Slot)>;

/** Of the slots [from, to), which several threads may share among them. */
struct Part {
  Slot from, to;
};

/**
 * Compares each match of a part. Those that may be among the nearest `k` are in scratch.compared then, in no order, by
 * the least distance that each may have.
 *
 * @param limit k of the matches are no farther, as far as other parts have told
 * @returns the same, by now
 */
double compareMatches(const Graph& graph, Probe& query, size_t k, const Allowed& allowed, Part part, double limit,
                      const Accept& accept, Scratch& scratch);

/** The nearest `ef`, about, by a walk. False when it is given up, as to compare all takes less time by then. */
bool hopMatches(const Graph& graph, Probe& query, size_t ef, const Allowed& allowed, const Course& course,
                const Accept& accept, Scratch& scratch);

}  // namespace vstore

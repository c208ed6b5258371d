/**
 * Three plans find the nearest of some slots. `compare`: few are compared one by one. `hop`: among many, a walk goes
 * from match to match, and through a node that does not match to that one's neighbours, two hops in all: ACORN-1
 * (Patel, Kraft, Guestrin and Zaharia 2024, "ACORN: Performant and predicate-agnostic search over vector embeddings and
 * structured data"). `walk`: where nearly all match, the usual walk takes no longer.
 *
 * ACORN begins at the node that is nearest of all. Where only far vectors match there is no match around it, so this
 * walk begins at some matches from all over the collection too.
 */
#pragma once
#include "allowed.h"
#include "graph.h"

namespace vstore {

/** Numbered as src/engine/index/native-addon.ts has them. */
enum class Plan : uint32_t { compare, hop, walk };

/** How to look for the nearest `ef` among `matches` of the nodes of a graph. */
Plan planOf(const Graph& graph, size_t matches, size_t ef);

/** What a search takes of the matches: those that are alive, and in the graph. */
using Accept = std::function<bool(Slot)>;

/** The nearest `ef` of the matches below `end`, in scratch.found, nearest first: each is compared. */
void compareMatches(const Graph& graph, Probe& query, size_t ef, const Allowed& allowed, Slot end,
                    const Accept& accept, Scratch& scratch);

/** About the same, by a walk. False when it gives up, because comparing all takes less time by then. */
bool hopMatches(const Graph& graph, Probe& query, size_t ef, const Allowed& allowed, const Accept& accept,
                Scratch& scratch);

}  // namespace vstore

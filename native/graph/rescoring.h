/**
 * From estimates to distances. Exact distances are computed, nearest estimate first, for as long as the bound of an
 * estimate admits that its vector is among the k nearest. When estimates cannot tell the candidates of a walk apart at
 * all, the walk has to go on with exact distances.
 */
#pragma once
#include "graph/nearest.h"
#include "graph/probe.h"

namespace vstore {

/**
 * Offers the exact distances of candidates, which are sorted, nearest first.
 *
 * @returns whether no farther candidate can be among the k nearest
 */
bool rescore(Probe& query, const std::vector<Candidate>& sorted, Nearest& nearest);

/** The same of candidates in no order, by the least distance that each may have. */
void rescoreAll(Probe& query, std::vector<Candidate>& candidates, Nearest& nearest);

/**
 * Whether the farther half of the kept candidates lies within the error of the estimates, and the results do too: then
 * chance decided which were kept.
 *
 * @param sorted what was found, nearest first
 * @param ef what the walk could keep
 * @param nearest takes the results, and has none
 */
bool isTooCoarse(Probe& query, const std::vector<Candidate>& sorted, size_t ef, Nearest nearest);

}  // namespace vstore

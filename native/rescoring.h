/**
 * From estimates to distances. Exact distances are computed, nearest estimate first, for as long as the bound of an
 * estimate admits that its vector is among the k nearest. Where estimates cannot tell the candidates of a walk from
 * each other at all, the walk has to go on with exact distances.
 */
#pragma once
#include "nearest.h"
#include "probe.h"

namespace vstore {

/** Offers the exact distances of candidates, which are sorted, nearest first. */
void rescore(Probe& query, const std::vector<Candidate>& sorted, Nearest& nearest);

/**
 * Whether the farther half of what a walk kept lies within the error of the estimates: then what it kept and what it
 * let go is chance.
 *
 * @param sorted what was found, nearest first
 * @param ef what the walk could keep
 */
bool isTooCoarse(Probe& query, const std::vector<Candidate>& sorted, size_t ef);

}  // namespace vstore

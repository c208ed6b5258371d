/** Which candidates are worth their rows. */
#include "graph/rescoring.h"

#include <cmath>

namespace vstore {
namespace {

/** Candidates whose exact distance is computed in any case, per result wanted. */
constexpr size_t rescoredPerResult = 4;

/** Candidates whose errors are looked at. */
constexpr size_t errorsMax = 16;
/** Candidates so many errors apart are told apart: a bound is what an error hardly ever comes near. */
constexpr double errorsApart = 4;

/** Cold rows that are read at once, beyond those that are read in any case. */
constexpr size_t fetchedAtOnce = 32;

/** Rows that are asked for ahead of their use, where many are looked at. */
constexpr size_t rowsAhead = 8;
/** Where many may be results they are looked at in parts, each so many times as large as the one before. */
constexpr size_t partGrowth = 4;

/** The largest error of the distances of some of the candidates. */
double errorOf(Probe& query, const std::vector<Candidate>& sorted) {
  double error = 0;
  for (size_t i = 0; i < sorted.size(); i += 1 + sorted.size() / errorsMax) {
    const double exact = query.walkingOf(query.shown(slotOf(sorted[i])));
    error = std::max(error, std::fabs(exact - distanceOf(sorted[i])));
  }
  return error;
}

}  // namespace

void Nearest::offer(const Neighbour& neighbour) {
  if (!(neighbour.distance <= within_) || (heap_.size() == k_ && !(neighbour < heap_.front()))) return;
  if (heap_.size() == k_) {
    std::pop_heap(heap_.begin(), heap_.end());
    heap_.back() = neighbour;
  } else {
    heap_.push_back(neighbour);
  }
  std::push_heap(heap_.begin(), heap_.end());
}

bool rescore(Probe& query, const std::vector<Candidate>& sorted, Nearest& nearest) {
  const auto offer = [&](Candidate candidate) {
    const Slot slot = slotOf(candidate);
    nearest.offer({query.shown(slot), slot});
  };
  const size_t sure = std::min(sorted.size(), rescoredPerResult * nearest.wanted());
  for (size_t i = 0; i < sure; i++) query.prefetchRow(slotOf(sorted[i]));
  for (size_t i = 0; i < sure; i++) offer(sorted[i]);
  for (size_t i = sure; i < sorted.size(); i++) {
    const double distance = distanceOf(sorted[i]), limit = query.walkingOf(nearest.limit());
    if (distance - query.boundMax(distance) > limit) return true;
    if (query.expectsColdRows() && (i - sure) % fetchedAtOnce == 0) {
      const size_t end = std::min(sorted.size(), i + fetchedAtOnce);
      for (size_t next = i; next < end; next++) query.prefetchRow(slotOf(sorted[next]));
    }
    if (distance - query.bound(sorted[i]) <= limit) offer(sorted[i]);
  }
  return false;
}

void rescoreAll(Probe& query, std::vector<Candidate>& candidates, Nearest& nearest) {
  const auto isNear = [&](Candidate candidate) {
    return distanceOf(candidate) <= query.walkingOf(nearest.limit());
  };
  const size_t ahead = query.expectsColdRows() ? fetchedAtOnce : rowsAhead;
  size_t count = rescoredPerResult * nearest.wanted();
  for (auto from = candidates.begin(); from != candidates.end(); count *= partGrowth) {
    // Those that are likely to be results tell how far the others may be.
    const auto end = std::partition(from, candidates.end(), isNear);
    const auto to = from + std::min(static_cast<ptrdiff_t>(count), end - from);
    if (to != end) std::nth_element(from, to, end);
    for (auto next = from; next < std::min(from + static_cast<ptrdiff_t>(ahead), to); next++) {
      query.prefetchWholeRow(slotOf(*next));
    }
    for (; from != to; from++) {
      if (to - from > static_cast<ptrdiff_t>(ahead)) query.prefetchWholeRow(slotOf(from[static_cast<ptrdiff_t>(ahead)]));
      const Slot slot = slotOf(*from);
      if (isNear(*from) && !query.isFarther(slot, nearest.limit())) nearest.offer({query.shown(slot), slot});
    }
    candidates.erase(end, candidates.end());
  }
}

bool isTooCoarse(Probe& query, const std::vector<Candidate>& sorted, size_t ef, Nearest nearest) {
  if (sorted.size() < ef || sorted.size() < 2) return false;
  const Candidate middle = sorted[sorted.size() / 2], last = sorted.back();
  const double spread = distanceOf(last) - distanceOf(middle);
  if (spread >= query.bound(last) || spread >= errorsApart * errorOf(query, sorted)) return false;
  rescore(query, sorted, nearest);
  return distanceOf(last) - query.bound(last) < query.walkingOf(nearest.limit());
}

}  // namespace vstore

/** Runs a batch of searches: walks through the graph, then scans of blocks of rows, then the order. */
#include "search.h"

#include <unordered_set>

#include "graph/rescoring.h"

namespace vstore {
namespace {

/** Rows that one turn of a scan looks at: they stay in the cache while all queries are compared with them. */
constexpr size_t blockBytes = 256 << 10;
/**
 * How far ahead of its row a scan prefetches: the processor's own prefetching stops at the end of each page.
 */
constexpr size_t aheadBytes = 8 << 10;
/** A scan up to this size, about 0.1 ms, is not worth waking another thread. */
constexpr size_t aloneBytes = 1 << 20;
/** A walk that looks at no more, some 0.3 ms, runs on the calling thread. */
constexpr size_t soonBytes = 2 << 20;
/** Walks that look at less together, 0.2 to 0.4 ms, run on the calling thread alone where there are few cores. */
constexpr double aloneWalksBytes = 512 << 10;
/** What may be compared in order there, some 0.8 ms. */
constexpr size_t comparedBytes = 7 << 20;
/** From so many bytes on, some 0.1 ms, a comparison is shared among threads: each takes about two parts. */
constexpr size_t splitBytes = 1 << 20;
constexpr size_t partsPerThread = 2;
/** Candidates of one comparison whose memory a thread keeps for its next. */
constexpr size_t comparedKept = 1 << 18;
/** Nodes that a walk looks at per candidate that it keeps, about. */
constexpr size_t visitsPerCandidate = 16;

/** In a graph that may be damaged, a slot may be a node and a twin of others at once. */
std::vector<Candidate> withoutRepeats(const std::vector<Candidate>& candidates) {
  std::vector<Candidate> once;
  std::unordered_set<Slot> seen;
  for (const Candidate candidate : candidates) {
    if (seen.insert(slotOf(candidate)).second) once.push_back(candidate);
  }
  return once;
}

}  // namespace

Search::Query::Query(const float* from, const GraphOptions& graph, const SearchOptions& options)
    : vector(from, from + graph.dimensions),
      distance(vector.data(), graph.dimensions, graph.metric),
      nearest(options.k, options.within),
      scansAll(options.exact) {}

double Search::Query::limit() {
  const std::lock_guard lock(mutex);
  return nearest.limit();
}

Search::Search(std::shared_ptr<const Graph> graph, std::shared_ptr<const Rows> rows, SearchOptions options,
               const float* queries, size_t count)
    : graph_(std::move(graph)),
      rows_(std::move(rows)),
      options_(std::move(options)),
      epoch_(graph_->epoch()),
      visible_(graph_->live()),
      blockSlots_(std::max<size_t>(1, blockBytes / rows_->rowBytes())) {
  // A slot without memory was never inserted.
  options_.slots = std::min(options_.slots, graph_->nodes.slots());
  if (options_.allowed) visible_ = std::min(visible_, options_.allowed->count());
  for (size_t i = 0; i < count; i++) {
    queries_.emplace_back(queries + i * graph_->options.dimensions, graph_->options, options_);
  }
}

void Search::start(Pool& pool, const std::atomic<bool>& stopped, Done done, Wanted wanted) {
  const auto self = shared_from_this();
  const auto walkOne = [self](size_t i) {
    if (!self->options_.exact) self->walk(self->queries_[i]);
  };
  const auto scanAll = [self, &pool, &stopped, done, wanted](std::exception_ptr failure) {
    if (failure) return done(failure);
    if (self->queries_.front().isInParts) return self->startParts(pool, stopped, done, wanted);
    self->startScan(pool, stopped, done);
  };
  const auto walkEach = [&](Pool::Kind kind) {
    const auto worth = static_cast<size_t>(aloneWalksBytes / walkBytes());
    return Pool::Work{kind, queries_.size(), walkOne, scanAll, stopped, worth};
  };
  if (!options_.coldRows && isSoonDone()) return pool.runTogether(walkEach(Pool::Kind::help), wanted);
  pool.run(walkEach(Pool::Kind::search));
}

/**
 * Whether a walk takes less time than it takes to wake another thread and to be woken by it. Among dead nodes it looks
 * at more, and where not all may be found it may come to compare all that may.
 */
bool Search::isSoonDone() const {
  if (options_.exact) return false;
  const double dead = static_cast<double>(graph_->length()) / std::max(1u, graph_->live());
  if (!options_.allowed) return walkBytes() * std::max(1.0, dead) <= soonBytes;
  const double compared = static_cast<double>(visible_) * static_cast<double>(graph_->space.bytes());
  return walkBytes() <= soonBytes && compared <= comparedBytes;
}

/** What a walk usually looks at. */
double Search::walkBytes() const {
  const size_t visits = std::max(options_.ef, options_.k) * visitsPerCandidate;
  return static_cast<double>(visits * graph_->space.bytes());
}

bool Search::sees(Slot slot) const {
  if (!graph_->nodes.isPlain(slot) && !graph_->nodes.life(slot).seenAt(epoch_)) return false;
  return !options_.allowed || options_.allowed->has(slot);
}

void Search::walk(Query& query) const {
  // The centre is learnt before there is an entry: a thread that sees the one sees the other.
  query.scansAll = graph_->entry() == noSlot;
  if (query.scansAll) return;
  Probe probe = probeOf(query);
  Scratch& scratch = Scratch::ofThread();
  const size_t ef = std::max(options_.ef, options_.k);
  if (options_.allowed && !findAllowed(probe, ef, *options_.allowed, scratch)) {
    query.isInParts = isSplit();
    if (query.isInParts) return;
    comparePart(query, 0, 1);
    return settleParts(query);
  }
  if (!options_.allowed) query.scansAll = !find(probe, ef, scratch) || scratch.found.size() < options_.k;
  if (!query.scansAll) rescore(probe, scratch.found, query.nearest);
}

Probe Search::probeOf(const Query& query) const {
  const float* vector = query.vector.data();
  return Probe(graph_->space, graph_->nodes, *rows_, vector, graph_->space.originOf(vector), &query.distance,
               options_.coldRows);
}

/** Whether other threads are likely to be free, and a comparison takes longer than to wake them. */
bool Search::isSplit() const {
  return queries_.size() == 1 && static_cast<double>(visible_) * static_cast<double>(graph_->space.bytes()) > splitBytes;
}

/** Where the calling thread has come this far it goes on. */
void Search::startParts(Pool& pool, const std::atomic<bool>& stopped, Done done, Wanted wanted) {
  const size_t parts = partsPerThread * coresOfProcess();
  const auto compare = [self = shared_from_this(), parts](size_t part) {
    self->comparePart(self->queries_.front(), part, parts);
  };
  const auto end = [self = shared_from_this(), &pool, &stopped, done](std::exception_ptr failure) {
    if (failure) return done(failure);
    self->settleParts(self->queries_.front());
    self->startScan(pool, stopped, done);
  };
  const bool together = std::this_thread::get_id() == caller_;
  Pool::Work work{together ? Pool::Kind::help : Pool::Kind::search, parts, compare, end, stopped};
  if (together) return pool.runTogether(std::move(work), wanted);
  pool.run(std::move(work));
}

/** Compares the matches of one of so many parts with a query. */
void Search::comparePart(Query& query, size_t part, size_t parts) const {
  Probe probe = probeOf(query);
  Scratch& scratch = Scratch::ofThread();
  const auto from = [&](size_t i) { return static_cast<Slot>(uint64_t{options_.watermark} * i / parts); };
  const auto knownMax = [&] {
    const std::lock_guard lock(query.mutex);
    return query.comparedMax;
  };
  const auto accept = [this](Slot slot) { return isWanted(slot); };
  const double max = compareMatches(*graph_, probe, options_.k, *options_.allowed, {from(part), from(part + 1)},
                                    knownMax(), accept, scratch);
  const std::lock_guard lock(query.mutex);
  query.comparedMax = std::min(query.comparedMax, max);
  for (const Candidate candidate : scratch.compared) {
    if (distanceOf(candidate) <= query.comparedMax) query.compared.push_back(candidate);
  }
  scratch.compared.clear();
  if (scratch.compared.capacity() > comparedKept) scratch.compared.shrink_to_fit();
}

/** All were compared, so all that may be nearer than estimates say can be looked at. */
void Search::settleParts(Query& query) const {
  Probe probe = probeOf(query);
  rescoreAll(probe, query.compared, query.nearest);
}

bool Search::isWanted(Slot slot) const { return slot < options_.watermark && sees(slot); }

/** What is near and may be seen, in scratch.found; false when the rows have to be looked at. */
bool Search::find(Probe& probe, size_t ef, Scratch& scratch) const {
  if (!walkAll(probe, ef, VisitsMax{visible_ + 1}, scratch)) return false;
  scratch.found = withTwins(scratch.found);
  return true;
}

/** The same of the slots that a search may find; false when all of them have to be compared. */
bool Search::findAllowed(Probe& probe, size_t ef, const Allowed& allowed, Scratch& scratch) const {
  const Course course = courseOf(*graph_, probe, allowed, visible_, ef,
                                 std::min(options_.watermark, options_.slots));
  const size_t kept = std::max(options_.k, keptOf(course, ef));
  // A node that is not wanted may have twins that are.
  const auto leads = [this](Slot slot) { return isWanted(slot) || graph_->nodes.life(slot).hasTwins(); };
  if ((course.plan == Plan::walk && walkAll(probe, kept, Patience(course, allowed), scratch)) ||
      (course.plan == Plan::hop && hopMatches(*graph_, probe, ef, allowed, course, leads, scratch))) {
    scratch.found = withTwins(scratch.found);
    if (scratch.found.size() >= std::min(kept, visible_)) return true;
  }
  return false;
}

/** Through all nodes, whatever may be found. */
template <class Patience>
bool Search::walkAll(Probe& probe, size_t ef, const Patience& patience, Scratch& scratch) const {
  // A dead node may have twins that live.
  const auto accept = [this](Slot slot) { return isWanted(slot) || graph_->nodes.life(slot).hasTwins(); };
  const bool ended = graph_->search(probe, ef, patience, accept, scratch);
  if (!ended || !isTooCoarse(probe, scratch.found, ef, Nearest(options_.k, options_.within))) return ended;
  probe.measureExactly();
  return graph_->searchOn(probe, ef, patience, accept, scratch);
}

/**
 * The nodes that were found and may be seen, each followed by its twins, as many as a walk keeps. No more than k of one
 * place can be results, so the rest come last: many equal vectors must not push out others.
 */
std::vector<Candidate> Search::withTwins(const std::vector<Candidate>& found) const {
  const size_t max = std::max({options_.ef, options_.k, found.size()});
  std::vector<Candidate> all;
  all.reserve(max);
  const auto addOf = [&](Candidate candidate, size_t from, size_t to) {
    size_t number = 0;
    const auto add = [&](Slot slot) {
      if (isWanted(slot) && number++ >= from && all.size() < max) all.push_back(withSlot(candidate, slot));
      return number < to && all.size() < max;
    };
    if (add(slotOf(candidate))) graph_->forTwins(slotOf(candidate), add);
  };
  for (const Candidate candidate : found) addOf(candidate, 0, options_.k);
  for (size_t i = 0; i < found.size() && all.size() < max; i++) addOf(found[i], options_.k, max);
  return graph_->isProven() ? all : withoutRepeats(all);
}

void Search::startScan(Pool& pool, const std::atomic<bool>& stopped, Done done) {
  const auto scansAll = [](const Query& query) { return query.scansAll; };
  const bool all = std::any_of(queries_.begin(), queries_.end(), scansAll);
  scanFrom_ = all ? 0 : std::min(options_.watermark, options_.slots);
  const uint64_t blocks = (uint64_t{options_.slots} - scanFrom_ + blockSlots_ - 1) / blockSlots_;
  const auto scanOne = [self = shared_from_this()](size_t block) { self->scanBlock(block); };
  const auto end = [self = shared_from_this(), done](std::exception_ptr failure) {
    self->finish();
    done(failure);
  };
  if (!options_.coldRows && blocks * blockSlots_ * rows_->rowBytes() * queries_.size() <= aloneBytes) {
    for (size_t block = 0; block < blocks; block++) scanBlock(block);
    return end(nullptr);
  }
  pool.run({Pool::Kind::search, blocks, scanOne, end, stopped});
}

void Search::scanBlock(size_t block) {
  const uint64_t from = scanFrom_ + block * blockSlots_;
  const auto to = static_cast<Slot>(std::min<uint64_t>(from + blockSlots_, options_.slots));
  if (options_.coldRows && from < to) rows_->fetch(from, to);
  for (Query& query : queries_) {
    const uint64_t begin = query.scansAll ? from : std::max<uint64_t>(from, options_.watermark);
    if (begin < to) scan(query, static_cast<Slot>(begin), to);
  }
}

void Search::scan(Query& query, Slot from, Slot to) const {
  Nearest nearest(options_.k, query.limit());
  const auto look = [&](Slot slot, const float* row) {
    // The distance first: most rows are too far, and asking whether they are alive costs another cache line.
    if (query.distance.atLeast(row) > nearest.limit() || !sees(slot)) return;
    nearest.offer({query.distance(row), slot});
  };
  if (options_.allowed) {
    options_.allowed->forEach(from, to, [&](Slot slot) { look(slot, rows_->row(slot)); });
  } else {
    rows_->forEach(from, to, [&](Slot slot, const float* row) {
      prefetchLines(reinterpret_cast<const std::byte*>(row) + aheadBytes, rows_->rowBytes());
      look(slot, row);
    });
  }
  const std::lock_guard lock(query.mutex);
  for (const Neighbour& neighbour : nearest.neighbours()) query.nearest.offer(neighbour);
}

void Search::finish() {
  for (Query& query : queries_) query.nearest.sort();
}

}  // namespace vstore

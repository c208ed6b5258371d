/**
 * A batch of searches: the graph over the indexed slots, an exact scan of the tail, merged. It answers as of the
 * moment it was asked: `epoch` and `slots` say who was alive then. Each query finds k vectors whenever k are there:
 * when the graph finds fewer, or would look at more nodes than there are to be found, the search scans everything.
 */
#pragma once
#include <mutex>
#include <optional>
#include <thread>

#include "filter/filtered.h"
#include "graph/nearest.h"
#include "pool.h"

namespace vstore {

struct SearchOptions {
  size_t k;
  /** Candidates that the graph keeps; at least k are. */
  size_t ef;
  /** Scan everything. */
  bool exact;
  /** Largest distance of a result. */
  double within;
  /** The slots of that moment, and the number below which each is in the graph or dead. */
  Slot slots;
  Slot watermark;
  /** Rows may have to be read from the disk: many at once then, and not on the calling thread. */
  bool coldRows;
  /** The slots that may be found; without it all may. */
  std::optional<Allowed> allowed;
};

class Search : public std::enable_shared_from_this<Search> {
 public:
  using Done = std::function<void(std::exception_ptr)>;
  /** Whether the calling thread has more urgent work by now than to take part. */
  using Wanted = std::function<bool()>;

  Search(std::shared_ptr<const Graph> graph, std::shared_ptr<const Rows> rows, SearchOptions options,
         const float* queries, size_t count);

  /**
   * Runs it on the threads of the pool, and a short one on the calling thread; `done` is called on one of
   * them.
   */
  void start(Pool& pool, const std::atomic<bool>& stopped, Done done, Wanted wanted);
  size_t size() const { return queries_.size(); }
  /** The results of a query, nearest first, once it is done. */
  const std::vector<Neighbour>& results(size_t query) const { return queries_[query].nearest.neighbours(); }

 private:
  struct Query {
    Query(const float* from, const GraphOptions& graph, const SearchOptions& options);
    /** Farther vectors are no results. */
    double limit();
    std::vector<float> vector;
    DistanceTo distance;
    Nearest nearest;
    bool scansAll;
    /** Whether its matches are compared in parts, with those that may be results, and how far those are at most. */
    bool isInParts = false;
    std::vector<Candidate> compared;
    double comparedMax = std::numeric_limits<double>::infinity();
    /** Of `nearest`, `compared` and `comparedMax`, while several threads scan. */
    std::mutex mutex;
  };

  bool sees(Slot slot) const;
  bool isSoonDone() const;
  double walkBytes() const;
  void walk(Query& query) const;
  bool isWanted(Slot slot) const;
  bool find(Probe& probe, size_t ef, Scratch& scratch) const;
  bool findAllowed(Probe& probe, size_t ef, const Allowed& allowed, Scratch& scratch) const;
  Probe probeOf(const Query& query) const;
  void settleParts(Query& query) const;
  bool isSplit() const;
  void startParts(Pool& pool, const std::atomic<bool>& stopped, Done done, Wanted wanted);
  void comparePart(Query& query, size_t part, size_t parts) const;
  template <class Patience>
  bool walkAll(Probe& probe, size_t ef, const Patience& patience, Scratch& scratch) const;
  std::vector<Candidate> withTwins(const std::vector<Candidate>& found) const;
  void scan(Query& query, Slot from, Slot to) const;
  void scanBlock(size_t block);
  void startScan(Pool& pool, const std::atomic<bool>& stopped, Done done);
  void finish();

  const std::shared_ptr<const Graph> graph_;
  const std::shared_ptr<const Rows> rows_;
  SearchOptions options_;
  const uint64_t epoch_;
  /** About how many slots can be found at all. */
  size_t visible_;
  /** It may take part in what it starts. */
  const std::thread::id caller_ = std::this_thread::get_id();
  /** Query does not move. */
  std::deque<Query> queries_;
  /** Of the scan. */
  Slot scanFrom_ = 0;
  size_t blockSlots_;
};

}  // namespace vstore

/** Threads and their queues. */
#include "pool.h"

#include <chrono>
#include <stdexcept>

#ifdef __linux__
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace vstore {
namespace {

/** Niceness of a thread that builds: it gets about a tenth of a core that others want too. */
[[maybe_unused]] constexpr int buildNiceness = 10;

/** From so many turns on it is worth waking another thread beside the calling one. */
constexpr size_t turnsPerThread = 3;

/** With no more threads that search, Redis and its clients want every core too. */
constexpr size_t fewThreads = 2;

using Clock = std::chrono::steady_clock;
/** How long a calling thread takes part, where nothing waits for it. */
constexpr std::chrono::microseconds patience(1'000);

/** What `top -H` shows. */
void nameThread([[maybe_unused]] Pool::Kind kind) {
#ifdef __linux__
  constexpr const char* names[Pool::kinds] = {"vstore-help", "vstore-search", "vstore-build"};
  (void)pthread_setname_np(pthread_self(), names[static_cast<size_t>(kind)]);
#endif
}

/** On Linux niceness belongs to a thread. Without it builds compete as equals. */
void yieldToOthers() {
#ifdef __linux__
  (void)setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), buildNiceness);
#endif
}

}  // namespace

size_t coresOfProcess() {
#ifdef __linux__
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) == 0) return static_cast<size_t>(CPU_COUNT(&cores));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

/** Work in progress. */
class Pool::Loop {
 public:
  explicit Loop(Work work) : work_(std::move(work)) {}

  const Work& work() const { return work_; }

  /** Takes a turn; false when there is none left to take. */
  bool step() {
    const size_t turns = work_.turns;
    const bool stopped = work_.stopped;
    const size_t turn = stopped ? next_.exchange(turns) : next_.fetch_add(1);
    if (turn >= turns) return false;
    if (!stopped) run(turn);
    const size_t taken = stopped ? turns - turn : 1;
    if (finished_.fetch_add(taken) + taken == turns) work_.done(failure_);
    return next_ < turns;
  }

 private:
  void run(size_t turn) {
    try {
      work_.turn(turn);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }

  const Work work_;
  std::atomic<size_t> next_{0};
  std::atomic<size_t> finished_{0};
  std::mutex mutex_;
  std::exception_ptr failure_;
};

Pool& Pool::ofProcess() {
  // Never destroyed: a process may exit while its threads are at work.
  static Pool& pool = *new Pool();
  return pool;
}

void Pool::resize(size_t searching, size_t building) {
  const std::lock_guard lifecycle(lifecycle_);
  if (!threads_.empty()) throw std::logic_error("the threads run already");
  searching_ = std::max<size_t>(1, searching);
  building_ = std::max<size_t>(1, building);
}

void Pool::hold() {
  const std::lock_guard lifecycle(lifecycle_);
  holders_++;
}

void Pool::release() {
  const std::lock_guard lifecycle(lifecycle_);
  if (--holders_ > 0) return;
  ending_ = true;
  for (Queue& queue : queues_) {
    // A thread that is about to wait has seen it, or waits already.
    const std::lock_guard lock(queue.mutex);
    queue.wake.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  ending_ = false;
}

void Pool::start() {
  const std::lock_guard lifecycle(lifecycle_);
  if (!threads_.empty()) return;
  for (const Kind kind : {Kind::help, Kind::search, Kind::build}) {
    for (size_t i = 0; i < threadsOf(kind); i++) threads_.emplace_back([this, kind] { serve(kind); });
  }
}

void Pool::run(Work work) {
  if (work.turns == 0) return work.done(nullptr);
  const auto loop = std::make_shared<Loop>(std::move(work));
  const Kind kind = loop->work().kind;
  const size_t threads = std::min(loop->work().turns, threadsOf(kind));
  share(kind, loop, threads, threads);
}

void Pool::runTogether(Work work, const std::function<bool()>& wanted) {
  if (work.turns == 0) return work.done(nullptr);
  const auto end = Clock::now() + patience;
  auto loop = std::make_shared<Loop>(std::move(work));
  const size_t worth = searching_ > fewThreads ? 0 : loop->work().turnsWorthCore;
  const size_t others = std::min(loop->work().turns / std::max(turnsPerThread, worth), searching_ - 1);
  share(Kind::help, loop, others + 1, others);
  Queue& queue = queueOf(Kind::help);
  Lock lock(queue.mutex);
  while (!queue.loops.empty() && !wanted() && Clock::now() < end) step(queue, lock);
  if (queue.loops.empty()) return;
  const bool isWanted = wanted();
  if (!isWanted) {
    loop = std::move(queue.loops.front());
    queue.loops.pop_front();
  }
  lock.unlock();
  // Where this thread only goes back to wait for events, another one takes its place.
  if (!isWanted) return share(Kind::search, loop, 1, 1);
  start();
  wake(queue, 1);
}

/** Lets so many threads take turns of it, and wakes some of them. */
void Pool::share(Kind kind, const std::shared_ptr<Loop>& loop, size_t threads, size_t woken) {
  // Before the loop can end: the pool may be released right after.
  if (woken > 0) start();
  Queue& queue = queueOf(kind);
  {
    const std::lock_guard lock(queue.mutex);
    queue.loops.insert(queue.loops.end(), threads, loop);
  }
  wake(queue, woken);
}

void Pool::wake(Queue& queue, size_t threads) {
  for (size_t i = 0; i < threads; i++) queue.wake.notify_one();
}

void Pool::serve(Kind kind) {
  nameThread(kind);
  if (kind == Kind::build) yieldToOthers();
  Queue& queue = queueOf(kind);
  Lock lock(queue.mutex);
  for (;;) {
    queue.wake.wait(lock, [&] { return ending_ || !queue.loops.empty(); });
    if (ending_) return;
    step(queue, lock);
  }
}

/** Takes a turn of the first loop, and lets the others have theirs next. */
void Pool::step(Queue& queue, Lock& lock) {
  std::shared_ptr<Loop> loop = std::move(queue.loops.front());
  queue.loops.pop_front();
  lock.unlock();
  // Outside the lock: the last owner of a loop may free much memory.
  if (!loop->step()) loop.reset();
  lock.lock();
  if (loop) queue.loops.push_back(std::move(loop));
}

}  // namespace vstore

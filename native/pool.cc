/** Threads and their queues. */
#include "pool.h"

#ifdef __linux__
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace vstore {
namespace {

/** How willingly a thread that builds leaves its core to others: about a tenth of the time while they want it. */
[[maybe_unused]] constexpr int buildNiceness = 10;

/** Turns that make it worth waking another thread, where the calling one takes part. */
constexpr size_t turnsPerThread = 3;

/** On Linux niceness belongs to a thread. Where it cannot be had, builds only compete as equals. */
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

void Pool::hold() {
  const std::lock_guard lifecycle(lifecycle_);
  holders_++;
}

void Pool::release() {
  const std::lock_guard lifecycle(lifecycle_);
  if (--holders_ > 0) return;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  search_.wake.notify_all();
  build_.wake.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  ending_ = false;
}

void Pool::start() {
  const std::lock_guard lifecycle(lifecycle_);
  while (threads_.size() < 2 * size_) {
    const auto priority = threads_.size() % 2 == 0 ? Priority::search : Priority::build;
    threads_.emplace_back([this, priority] { serve(priority); });
  }
}

void Pool::run(Work work) {
  if (work.turns == 0) return work.done(nullptr);
  const auto loop = std::make_shared<Loop>(std::move(work));
  share(loop, std::min(loop->work().turns, size_));
}

void Pool::runTogether(Work work, std::chrono::microseconds patience) {
  if (work.turns == 0) return work.done(nullptr);
  const auto end = std::chrono::steady_clock::now() + patience;
  const auto loop = std::make_shared<Loop>(std::move(work));
  const size_t others = std::min(loop->work().turns / turnsPerThread, size_ - 1);
  if (others > 0) share(loop, others);
  while (loop->step()) {
    if (std::chrono::steady_clock::now() < end) continue;
    if (others == 0) share(loop, 1);
    return;
  }
}

/** Lets so many threads take turns of it. */
void Pool::share(const std::shared_ptr<Loop>& loop, size_t threads) {
  start();
  Queue& queue = loop->work().priority == Priority::search ? search_ : build_;
  {
    const std::lock_guard lock(mutex_);
    queue.loops.insert(queue.loops.end(), threads, loop);
  }
  for (size_t i = 0; i < threads; i++) queue.wake.notify_one();
}

void Pool::serve(Priority priority) {
  if (priority == Priority::build) yieldToOthers();
  Queue& queue = priority == Priority::search ? search_ : build_;
  std::unique_lock lock(mutex_);
  for (;;) {
    queue.wake.wait(lock, [&] { return ending_ || !queue.loops.empty(); });
    if (ending_) return;
    std::shared_ptr<Loop> loop = std::move(queue.loops.front());
    queue.loops.pop_front();
    lock.unlock();
    const bool more = loop->step();
    lock.lock();
    if (more) queue.loops.push_back(std::move(loop));
  }
}

}  // namespace vstore

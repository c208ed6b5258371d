/** Threads and their queues. */
#include "pool.h"

namespace vstore {

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
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  ending_ = false;
}

void Pool::start() {
  const std::lock_guard lifecycle(lifecycle_);
  while (threads_.size() < size_) threads_.emplace_back([this] { serve(); });
}

void Pool::run(Work work) {
  if (work.turns == 0) return work.done(nullptr);
  const auto loop = std::make_shared<Loop>(std::move(work));
  const size_t shares = std::min(loop->work().turns, size_);
  start();
  {
    const std::lock_guard lock(mutex_);
    auto& queue = queues_[static_cast<size_t>(loop->work().priority)];
    queue.insert(queue.end(), shares, loop);
  }
  for (size_t i = 0; i < shares; i++) wake_.notify_one();
}

void Pool::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return ending_ || !queues_[0].empty() || !queues_[1].empty(); });
    if (ending_) return;
    auto& queue = queues_[queues_[0].empty() ? 1 : 0];
    std::shared_ptr<Loop> loop = std::move(queue.front());
    queue.pop_front();
    lock.unlock();
    const bool more = loop->step();
    lock.lock();
    if (more) queue.push_back(std::move(loop));
  }
}

}  // namespace vstore

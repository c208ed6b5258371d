/**
 * The threads of the process, one per core, shared by all its environments. Work comes as loops whose turns any
 * thread may take. Loops that search go before loops that build, and a thread looks anew after each turn, so that
 * a search waits for one insertion at most.
 */
#pragma once
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace vstore {

class Pool {
 public:
  enum class Priority { search, build };

  struct Work {
    Priority priority;
    size_t turns;
    /** Runs once for each turn, on any thread. */
    std::function<void(size_t turn)> turn;
    /** Runs once, on the thread that took the last turn; the first exception that a turn threw, or null. */
    std::function<void(std::exception_ptr failure)> done;
    /** Once it is set, turns that have not begun are passed over. */
    const std::atomic<bool>& stopped;
  };

  /** The pool lives as long as the process; its threads while somebody holds it. */
  static Pool& ofProcess();
  void hold();
  /** Waits for the threads to end when nobody holds the pool any more. Nothing may be running then. */
  void release();

  /** Starts the threads when they are not there yet. `done` may run before it returns when there are no turns. */
  void run(Work work);
  size_t size() const { return size_; }

 private:
  class Loop;
  void serve();
  void start();

  const size_t size_ = std::max(1u, std::thread::hardware_concurrency());
  std::mutex lifecycle_;
  size_t holders_ = 0;
  std::vector<std::thread> threads_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  /** By priority. A loop is in it once for each thread that may work on it. */
  std::deque<std::shared_ptr<Loop>> queues_[2];
};

}  // namespace vstore

/**
 * The threads of the process, shared by all its environments: one per core that searches, unless it is resized; one
 * less, but at least one, that helps calling threads with the work that they take part in; and one per core that builds,
 * which the system lets run when no other thread wants the core. So a search waits for no insertion, and neither do the event loop, or a
 * Redis on the same machine. Work comes as loops whose turns any thread of its kind may take; a searching thread also
 * takes the place of a calling one.
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

/** Those that the process may run on: `taskset` and containers leave it fewer than the machine has. */
size_t coresOfProcess();

class Pool {
 public:
  enum class Kind { help, search, build };
  static constexpr size_t kinds = 3;

  struct Work {
    Kind kind;
    size_t turns;
    /** Runs once for each turn, on any thread. */
    std::function<void(size_t turn)> turn;
    /** Runs once, on the thread that took the last turn; the first exception that a turn threw, or null. */
    std::function<void(std::exception_ptr failure)> done;
    /** Once it is set, turns that have not begun are passed over. */
    const std::atomic<bool>& stopped;
    /** Where there are few cores, fewer turns are not worth taking another one from Redis and its clients. */
    size_t turnsWorthCore = 0;
  };

  /** The pool lives as long as the process; its threads while it is held. */
  static Pool& ofProcess();
  /** From when its threads start next on, so many search and build; there is one of each kind at least. */
  void resize(size_t searching, size_t building);
  void hold();
  /** Waits for the threads to end when the pool is no longer held. No work may be under way then. */
  void release();

  /** Starts the threads when they are not there yet. `done` may run before it returns when there are no turns. */
  void run(Work work);
  /**
   * The same, but the calling thread takes turns too, of everything that was begun so, for a millisecond, until it is
   * `wanted` elsewhere, or nothing is left. It wakes others only where that pays: a hand-over costs about as much as a
   * small turn. `done` may run before it returns.
   */
  void runTogether(Work work, const std::function<bool()>& wanted);

 private:
  class Loop;
  using Lock = std::unique_lock<std::mutex>;
  /** Loops that wait; each is in it once for each thread that may work on it. Those that build hold up no others. */
  struct Queue {
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<std::shared_ptr<Loop>> loops;
  };
  size_t threadsOf(Kind kind) const {
    if (kind == Kind::build) return building_;
    return kind == Kind::search ? searching_ : std::max<size_t>(1, searching_ - 1);
  }
  void start();
  void serve(Kind kind);
  void step(Queue& queue, Lock& lock);
  void share(Kind kind, const std::shared_ptr<Loop>& loop, size_t threads, size_t woken);
  void wake(Queue& queue, size_t threads);
  Queue& queueOf(Kind kind) { return queues_[static_cast<size_t>(kind)]; }

  /** Never changed while there are threads. */
  size_t searching_ = coresOfProcess(), building_ = searching_;
  std::mutex lifecycle_;
  size_t holders_ = 0;
  std::vector<std::thread> threads_;

  std::atomic<bool> ending_{false};
  Queue queues_[kinds];
};

}  // namespace vstore

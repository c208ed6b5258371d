/**
 * What binds the pool to one JavaScript environment (the main thread's or a worker's): promises that other threads
 * settle, and the end of the environment, which waits for work under way, because that reads memory which the
 * environment is about to give back.
 */
#pragma once
#include <napi.h>

#include <set>

#include "pool.h"

namespace vstore {

/** A promise under way. Made, settled and destroyed on the JavaScript thread. */
class Pending {
 public:
  explicit Pending(Napi::Env env) : deferred_(env) {}
  virtual ~Pending() = default;
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

  Napi::Promise promise() const { return deferred_.Promise(); }
  void settle(Napi::Env env);

  /** Set by the thread that did the work when it failed. */
  std::exception_ptr failure;

 protected:
  /** What the promise resolves to. @throws Napi::Error, to reject it */
  virtual Napi::Value result(Napi::Env env) = 0;

 private:
  void conclude(Napi::Env env);

  const Napi::Promise::Deferred deferred_;
};

class Environment : public std::enable_shared_from_this<Environment> {
 public:
  explicit Environment(Napi::Env env);
  /** Makes the environment wait for our work before it takes back any memory that JavaScript has now. */
  void endBeforeAllElse();

  /** Flags that are set when the environment ends. */
  void watch(std::atomic<bool>* stopped) { stopped_.insert(stopped); }
  void unwatch(std::atomic<bool>* stopped) { stopped_.erase(stopped); }

  /** Counts a promise in. Once it is, `finished` must be called for it. */
  Napi::Promise begin(Pending* pending);
  /** On any thread: the work is done. Nothing of it may be touched afterwards. */
  void finished(Pending* pending);
  /** Promises that were settled so far. Code that awaits them does not run within one call from JavaScript. */
  size_t settled() const { return settled_; }
  /** Whether promises wait for the environment's thread to settle them. */
  bool hasDeliveries() const { return undelivered_.load() > 0; }

 private:
  static void deliver(Napi::Env env, Napi::Function, Environment* environment, Pending* pending);
  void settle(Napi::Env env, std::unique_ptr<Pending> pending);
  void end();
  using Deliveries = Napi::TypedThreadSafeFunction<Environment, Pending, deliver>;

  const Napi::Env env_;
  const std::thread::id thread_ = std::this_thread::get_id();
  Deliveries deliveries_;
  std::set<std::atomic<bool>*> stopped_;
  /** External memory of one byte, which the environment takes back before all older, and tells us. */
  Napi::Reference<Napi::Buffer<uint8_t>> sentinel_;
  uint8_t* sentinelByte_ = nullptr;
  bool ended_ = false;
  /** Promises begun and not settled yet: they keep the event loop alive. */
  size_t unsettled_ = 0;
  size_t settled_ = 0;

  /** Of them, those that other threads have finished. */
  std::atomic<size_t> undelivered_{0};

  std::mutex mutex_;
  std::condition_variable idle_;
  /** Those that some thread works on. */
  size_t unfinished_ = 0;
};

}  // namespace vstore

/** Promises across threads, and the end of an environment. */
#include "node/environment.h"

namespace vstore {

void Pending::settle(Napi::Env env) {
  try {
    conclude(env);
  } catch (const Napi::Error&) {
    // The environment is ending: it runs no JavaScript any more.
  }
}

void Pending::conclude(Napi::Env env) {
  try {
    if (failure) std::rethrow_exception(failure);
    deferred_.Resolve(result(env));
  } catch (const Napi::Error& error) {
    deferred_.Reject(error.Value());
  } catch (const std::exception& error) {
    deferred_.Reject(Napi::Error::New(env, error.what()).Value());
  }
}

Environment::Environment(Napi::Env env)
    : env_(env), deliveries_(Deliveries::New(env, "vstore", 0, 1, this)) {
  deliveries_.Unref(env);
  Pool::ofProcess().hold();
  env.AddCleanupHook([this] { end(); });
}

/** Node takes back external memory in the reverse order of its making, and before it runs any cleanup hook. */
void Environment::endBeforeAllElse() {
  const auto gone = [](Napi::Env, uint8_t* byte, Environment* self) {
    const std::unique_ptr<uint8_t> owned(byte);
    // An older one goes whenever the garbage collector finds it.
    if (self->sentinelByte_ == byte) self->end();
  };
  sentinelByte_ = new uint8_t;
  sentinel_ = Napi::Persistent(Napi::Buffer<uint8_t>::New(env_, sentinelByte_, 1, gone, this));
}

Napi::Promise Environment::begin(Pending* pending) {
  if (unsettled_++ == 0) deliveries_.Ref(env_);
  const std::lock_guard lock(mutex_);
  unfinished_++;
  return pending->promise();
}

void Environment::finished(Pending* pending) {
  // The environment's end may be waiting, and destroy it right after.
  const auto self = shared_from_this();
  if (std::this_thread::get_id() == thread_) {
    settle(env_, std::unique_ptr<Pending>(pending));
  } else {
    undelivered_++;
    deliveries_.NonBlockingCall(pending);
  }
  const std::lock_guard lock(mutex_);
  unfinished_--;
  idle_.notify_all();
}

void Environment::deliver(Napi::Env env, Napi::Function, Environment* environment, Pending* pending) {
  std::unique_ptr<Pending> owned(pending);
  // Without an environment no promise is left to settle.
  if (env == nullptr) return;
  environment->undelivered_--;
  environment->settle(env, std::move(owned));
}

void Environment::settle(Napi::Env env, std::unique_ptr<Pending> pending) {
  settled_++;
  if (--unsettled_ == 0) deliveries_.Unref(env);
  pending->settle(env);
}

void Environment::end() {
  if (ended_) return;
  ended_ = true;
  // The last one to let go of this may be another thread.
  sentinel_.SuppressDestruct();
  for (std::atomic<bool>* stopped : stopped_) *stopped = true;
  {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return unfinished_ == 0; });
  }
  Pool::ofProcess().release();
}

}  // namespace vstore

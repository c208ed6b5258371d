/** A turn is the time between two moments at which the loop is about to wait for events, without the waiting. */
#include "node/turns.h"

#include <uv.h>

#include <algorithm>
#include <memory>

namespace vstore {
namespace {

struct Turns {
  uv_prepare_t beforeWaiting;
  Napi::Reference<Napi::Uint32Array> number;
  uint32_t* count = nullptr;
  napi_async_cleanup_hook_handle atEnd = nullptr;
  uint64_t begun = 0;
  uint64_t waited = 0;
  uint64_t longest = 0;
};

/** libuv counts nanoseconds. */
constexpr double nsPerMs = 1e6;

uint64_t workedSince(const Turns& turns, uint64_t now, uint64_t waited) {
  return turns.begun == 0 ? 0 : now - turns.begun - (waited - turns.waited);
}

void measure(uv_prepare_t* handle) {
  auto& turns = **static_cast<std::shared_ptr<Turns>*>(handle->data);
  const uint64_t now = uv_hrtime(), waited = uv_metrics_idle_time(handle->loop);
  turns.longest = std::max(turns.longest, workedSince(turns, now, waited));
  turns.begun = now;
  turns.waited = waited;
  ++*turns.count;
}

double workedMs(const Turns& turns) {
  const uint64_t waited = uv_metrics_idle_time(turns.beforeWaiting.loop);
  return static_cast<double>(workedSince(turns, uv_hrtime(), waited)) / nsPerMs;
}

void stop(Turns& turns) {
  auto* handle = reinterpret_cast<uv_handle_t*>(&turns.beforeWaiting);
  if (uv_is_closing(handle)) return;
  turns.number.Reset();
  // libuv uses the handle until it has closed it, so it owns the memory until then.
  uv_close(handle, [](uv_handle_t* closed) {
    auto* owned = static_cast<std::shared_ptr<Turns>*>(closed->data);
    napi_remove_async_cleanup_hook((*owned)->atEnd);
    delete owned;
  });
}

/** Of a thread: its loop must have no handle then. */
void stopAtEnd(napi_async_cleanup_hook_handle, void* turns) { stop(*static_cast<Turns*>(turns)); }

}  // namespace

Napi::Value measureTurns(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) throw Napi::Error::New(env, "no event loop");
  const auto turns = std::make_shared<Turns>();
  auto number = Napi::Uint32Array::New(env, 1);
  turns->number = Napi::Persistent(number);
  turns->count = number.Data();
  if (napi_add_async_cleanup_hook(env, stopAtEnd, turns.get(), &turns->atEnd) != napi_ok)
    throw Napi::Error::New(env, "the thread is ending");
  uv_loop_configure(loop, UV_METRICS_IDLE_TIME);
  uv_prepare_init(loop, &turns->beforeWaiting);
  turns->beforeWaiting.data = new std::shared_ptr<Turns>(turns);
  uv_prepare_start(&turns->beforeWaiting, measure);
  uv_unref(reinterpret_cast<uv_handle_t*>(&turns->beforeWaiting));
  auto meter = Napi::Object::New(env);
  meter["number"] = number;
  meter["workedMs"] = Napi::Function::New(
      env, [turns](const Napi::CallbackInfo& call) { return Napi::Number::New(call.Env(), workedMs(*turns)); });
  meter["longestMs"] = Napi::Function::New(env, [turns](const Napi::CallbackInfo& call) {
    return Napi::Number::New(call.Env(), static_cast<double>(turns->longest) / nsPerMs);
  });
  meter["stop"] = Napi::Function::New(env, [turns](const Napi::CallbackInfo&) { stop(*turns); });
  return meter;
}

}  // namespace vstore

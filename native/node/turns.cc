/** A turn is the time between two moments at which the loop is about to wait for events, without the waiting. */
#include "node/turns.h"

#include <uv.h>

#include <algorithm>
#include <memory>

namespace vstore {
namespace {

struct Turns {
  uv_prepare_t beforeWaiting;
  uint64_t begun = 0;
  uint64_t waited = 0;
  uint64_t longest = 0;
};

/** libuv counts nanoseconds. */
constexpr double nsPerMs = 1e6;

void measure(uv_prepare_t* handle) {
  auto& turns = **static_cast<std::shared_ptr<Turns>*>(handle->data);
  const uint64_t now = uv_hrtime(), waited = uv_metrics_idle_time(handle->loop);
  const uint64_t worked = now - turns.begun - (waited - turns.waited);
  if (turns.begun != 0) turns.longest = std::max(turns.longest, worked);
  turns.begun = now;
  turns.waited = waited;
}

void stop(Turns& turns) {
  auto* handle = reinterpret_cast<uv_handle_t*>(&turns.beforeWaiting);
  if (uv_is_closing(handle)) return;
  // libuv uses the handle until it has closed it, so it owns the memory until then.
  uv_close(handle, [](uv_handle_t* closed) { delete static_cast<std::shared_ptr<Turns>*>(closed->data); });
}

}  // namespace

Napi::Value measureTurns(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) throw Napi::Error::New(env, "no event loop");
  const auto turns = std::make_shared<Turns>();
  uv_loop_configure(loop, UV_METRICS_IDLE_TIME);
  uv_prepare_init(loop, &turns->beforeWaiting);
  turns->beforeWaiting.data = new std::shared_ptr<Turns>(turns);
  uv_prepare_start(&turns->beforeWaiting, measure);
  uv_unref(reinterpret_cast<uv_handle_t*>(&turns->beforeWaiting));
  auto meter = Napi::Object::New(env);
  meter["longestMs"] = Napi::Function::New(env, [turns](const Napi::CallbackInfo& call) {
    return Napi::Number::New(call.Env(), static_cast<double>(turns->longest) / nsPerMs);
  });
  meter["stop"] = Napi::Function::New(env, [turns](const Napi::CallbackInfo&) { stop(*turns); });
  return meter;
}

}  // namespace vstore

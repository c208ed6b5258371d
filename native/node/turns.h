/**
 * How long the turns of an event loop take, without a timer that would wake it: an idle process stays asleep.
 */
#pragma once
#include <napi.h>

namespace vstore {

/**
 * measureTurns(): begins to measure the turns of the caller's event loop. Returns an object with `longestMs()`, of the
 * turns that have ended, and `stop()`. Only for a thread that lives as long as the process.
 */
Napi::Value measureTurns(const Napi::CallbackInfo& info);

}  // namespace vstore

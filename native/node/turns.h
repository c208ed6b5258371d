/**
 * The turns of an event loop: how long they take, and how long the one under way has worked, without a timer that would
 * wake it. An idle process stays asleep.
 */
#pragma once
#include <napi.h>

namespace vstore {

/**
 * measureTurns(): begins to watch the turns of the caller's event loop. Returns an object with `number`, an array of
 * one number that each turn changes, `workedMs()` of the turn under way, `longestMs()` of those that have ended, and
 * `stop()`.
 */
Napi::Value measureTurns(const Napi::CallbackInfo& info);

}  // namespace vstore

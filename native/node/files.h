/** What Node's file system lacks: an advisory lock on an open file, and a file mapped into memory. */
#pragma once
#include <napi.h>

namespace vstore {

/** lockFile(descriptor, exclusive): whether the lock was free. Throws what flock says. */
Napi::Value lockFile(const Napi::CallbackInfo& info);

/** mapFile(descriptor, bytes): a Buffer, shared with the file, that is unmapped when JavaScript drops it. */
Napi::Value mapFile(const Napi::CallbackInfo& info);

/** beginCollecting(): the garbage collector begins now, and goes on in steps between other work. */
Napi::Value beginCollecting(const Napi::CallbackInfo& info);

/**
 * residentBytes(mapping, pieces): how many bytes of a mapped file are in memory. Of a large file only so many pieces
 * are looked at, spread over it evenly, and the answer is what they make likely.
 */
Napi::Value residentBytes(const Napi::CallbackInfo& info);
/** giveBack(mapping): gives the pages of a mapped file back to the system, in the background. */
Napi::Value giveBack(const Napi::CallbackInfo& info);

}  // namespace vstore

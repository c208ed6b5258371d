/** Locks and mappings of files. Nothing here has state of its own, so every worker thread may use it. */
#include "node/files.h"

#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <string>
#include <system_error>
#include <thread>

#include "resident.h"

namespace vstore {
namespace {

[[noreturn]] void throwErrno(Napi::Env env, const char* call) {
  throw Napi::Error::New(env, std::string(call) + ": " + std::strerror(errno));
}

/** One piece: mincore answers a byte for each of its pages. */
constexpr size_t pieceBytes = 1 << 20;

/** From here on unmapping takes milliseconds, if the pages are in memory. */
constexpr size_t longUnmapBytes = 8 << 20;

/** More than what may hang on V8's heap until it begins to look for garbage, in steps. */
constexpr int64_t noticedBytes = 65 << 20;

void unmap(void* start, size_t bytes) {
  try {
    if (bytes >= longUnmapBytes) return std::thread([=] { munmap(start, bytes); }).detach();
  } catch (const std::system_error&) {
    // Too many threads: it takes its time here.
  }
  munmap(start, bytes);
}

}  // namespace

Napi::Value lockFile(const Napi::CallbackInfo& info) {
  const int descriptor = info[0].As<Napi::Number>().Int32Value();
  const bool exclusive = info[1].As<Napi::Boolean>().Value();
  const int operation = (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB;
  while (flock(descriptor, operation) != 0) {
    if (errno == EWOULDBLOCK) return Napi::Boolean::New(info.Env(), false);
    if (errno != EINTR) throwErrno(info.Env(), "flock");
  }
  return Napi::Boolean::New(info.Env(), true);
}

Napi::Value mapFile(const Napi::CallbackInfo& info) {
  const int descriptor = info[0].As<Napi::Number>().Int32Value();
  const auto bytes = static_cast<size_t>(info[1].As<Napi::Number>().Int64Value());
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (memory == MAP_FAILED) throwErrno(info.Env(), "mmap");
  const auto drop = [bytes](Napi::Env, uint8_t* start) { unmap(start, bytes); };
  return Napi::Buffer<uint8_t>::New(info.Env(), static_cast<uint8_t*>(memory), bytes, drop);
}

Napi::Value beginCollecting(const Napi::CallbackInfo& info) {
  Napi::MemoryManagement::AdjustExternalMemory(info.Env(), noticedBytes);
  Napi::MemoryManagement::AdjustExternalMemory(info.Env(), -noticedBytes);
  return info.Env().Undefined();
}

namespace {

/** Pages are given back on a thread of their own: that takes some 0.1 s for each 100 MB. */
class GivingBack : public Napi::AsyncWorker {
 public:
  GivingBack(Napi::Env env, const Napi::Buffer<std::byte>& mapping)
      : AsyncWorker(env), deferred_(env), kept_(Napi::Persistent(mapping)), begin_(mapping.Data()),
        bytes_(mapping.Length()) {}
  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
#ifdef __linux__
    // MADV_PAGEOUT, which older headers do not have. Older systems at least count the pages no longer as the process'.
    constexpr int pageOut = 21;
    if (madvise(begin_, bytes_, pageOut) != 0) madvise(begin_, bytes_, MADV_DONTNEED);
#endif
  }
  void OnOK() override { deferred_.Resolve(Env().Undefined()); }

 private:
  const Napi::Promise::Deferred deferred_;
  const Napi::Reference<Napi::Buffer<std::byte>> kept_;
  std::byte* const begin_;
  const size_t bytes_;
};

}  // namespace

Napi::Value giveBack(const Napi::CallbackInfo& info) {
  auto* work = new GivingBack(info.Env(), info[0].As<Napi::Buffer<std::byte>>());
  const Napi::Promise promise = work->promise();
  work->Queue();
  return promise;
}

Napi::Value residentBytes(const Napi::CallbackInfo& info) {
  const auto mapping = info[0].As<Napi::Buffer<std::byte>>();
  const size_t all = (mapping.Length() + pieceBytes - 1) / pieceBytes;
  const size_t pieces = std::min<size_t>(all, std::max(1u, info[1].As<Napi::Number>().Uint32Value()));
  size_t looked = 0, resident = 0;
  for (size_t i = 0; i < pieces; i++) {
    const size_t at = i * all / pieces * pieceBytes;
    const size_t bytes = std::min(pieceBytes, mapping.Length() - at);
    looked += bytes;
    resident += std::min(bytes, residentOf(mapping.Data() + at, bytes));
  }
  const double share = looked == 0 ? 0 : static_cast<double>(resident) / static_cast<double>(looked);
  return Napi::Number::New(info.Env(), std::round(share * static_cast<double>(mapping.Length())));
}

}  // namespace vstore

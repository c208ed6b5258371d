/** Locks and mappings of files. Nothing here has state of its own, so every worker thread may use it. */
#include "files.h"

#include <sys/file.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace vstore {
namespace {

[[noreturn]] void throwErrno(Napi::Env env, const char* call) {
  throw Napi::Error::New(env, std::string(call) + ": " + std::strerror(errno));
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
  const auto unmap = [bytes](Napi::Env, uint8_t* start) { munmap(start, bytes); };
  return Napi::Buffer<uint8_t>::New(info.Env(), static_cast<uint8_t*>(memory), bytes, unmap);
}

}  // namespace vstore

/**
 * What JavaScript sees: locks and mappings of files, the turns of the event loop, the graph's class, and the kernels
 * for the tests that compare them.
 */
#include "node/files.h"
#include "codes/kernel_results.h"
#include "node/native_graph.h"
#include "pool.h"
#include "node/turns.h"

namespace vstore {
namespace {

Napi::Value kernelNames(const Napi::CallbackInfo& info) {
  auto names = Napi::Array::New(info.Env());
  for (const Kernels* kernels : supportedKernels()) names[names.Length()] = kernels->name;
  return names;
}

/** runKernels(index, a, b): the results of all kernels of a set, for vectors of components from -1 to 1. */
Napi::Value runKernels(const Napi::CallbackInfo& info) {
  const Kernels& kernels = *supportedKernels().at(info[0].As<Napi::Number>().Uint32Value());
  const auto a = info[1].As<Napi::Float32Array>(), b = info[2].As<Napi::Float32Array>();
  const auto results = kernelResults(kernels, a.Data(), b.Data(), std::min(a.ElementLength(), b.ElementLength()));
  auto array = Napi::Float64Array::New(info.Env(), results.size());
  std::copy(results.begin(), results.end(), array.Data());
  return array;
}

/** resizePool(searching, building): 0 for one thread per core. Before the first search. */
void resizePool(const Napi::CallbackInfo& info) {
  const auto threads = [&](size_t i) -> size_t {
    const uint32_t given = info[i].As<Napi::Number>().Uint32Value();
    return given == 0 ? coresOfProcess() : given;
  };
  try {
    Pool::ofProcess().resize(threads(0), threads(1));
  } catch (const std::logic_error& error) {
    throw Napi::Error::New(info.Env(), error.what());
  }
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new std::shared_ptr<Environment>(std::make_shared<Environment>(env)));
  exports["Graph"] = NativeGraph::define(env);
  exports["lockFile"] = Napi::Function::New<lockFile>(env);
  exports["mapFile"] = Napi::Function::New<mapFile>(env);
  exports["beginCollecting"] = Napi::Function::New<beginCollecting>(env);
  exports["giveBack"] = Napi::Function::New<giveBack>(env);
  exports["residentBytes"] = Napi::Function::New<residentBytes>(env);
  exports["resizePool"] = Napi::Function::New<resizePool>(env);
  exports["measureTurns"] = Napi::Function::New<measureTurns>(env);
  exports["kernelNames"] = Napi::Function::New<kernelNames>(env);
  exports["runKernels"] = Napi::Function::New<runKernels>(env);
  return exports;
}

}  // namespace
}  // namespace vstore

static Napi::Object initVstore(Napi::Env env, Napi::Object exports) { return vstore::init(env, exports); }
NODE_API_MODULE(vstore, initVstore)

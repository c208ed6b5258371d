/** What JavaScript sees: the graph's class, and the kernels for the tests that compare them. */
#include "native_graph.h"

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
  const size_t n = std::min(a.ElementLength(), b.ElementLength());
  std::vector<int8_t> int8A(n), int8B(n);
  std::vector<Half> halfA(n), halfB(n);
  for (size_t i = 0; i < n; i++) {
    int8A[i] = static_cast<int8_t>(a[i] * 127);
    int8B[i] = static_cast<int8_t>(b[i] * 127);
    halfA[i] = toHalf(a[i]);
    halfB[i] = toHalf(b[i]);
  }
  const std::vector<double> query(a.Data(), a.Data() + n);
  const Products rounded = kernels.productsFloat(a.Data(), b.Data(), n);
  const Products products = kernels.products(query.data(), b.Data(), n);
  const double results[] = {
      static_cast<double>(kernels.dotInt8(int8A.data(), int8B.data(), n)),
      kernels.dotHalf(halfA.data(), halfB.data(), n),
      kernels.squareHalf(halfA.data(), halfB.data(), n),
      kernels.dotFloat(a.Data(), b.Data(), n),
      kernels.squareFloat(a.Data(), b.Data(), n),
      rounded.dot,
      rounded.square,
      products.dot,
      products.square,
      kernels.squareExact(query.data(), b.Data(), n),
  };
  auto array = Napi::Float64Array::New(info.Env(), std::size(results));
  std::copy(std::begin(results), std::end(results), array.Data());
  return array;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new std::shared_ptr<Environment>(std::make_shared<Environment>(env)));
  exports["Graph"] = NativeGraph::define(env);
  exports["kernelNames"] = Napi::Function::New<kernelNames>(env);
  exports["runKernels"] = Napi::Function::New<runKernels>(env);
  return exports;
}

}  // namespace
}  // namespace vstore

static Napi::Object initVstore(Napi::Env env, Napi::Object exports) { return vstore::init(env, exports); }
NODE_API_MODULE(vstore, initVstore)

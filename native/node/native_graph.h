/**
 * The JavaScript object of a graph. It trusts its arguments: src/engine/index/native-addon.ts, which alone calls it,
 * has checked them.
 */
#pragma once
#include "node/environment.h"
#include "graph/graph_file.h"
#include "search.h"

namespace vstore {

class NativeGraph : public Napi::ObjectWrap<NativeGraph> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit NativeGraph(const Napi::CallbackInfo& info);
  ~NativeGraph() override;

 private:
  class Work;
  class Addition;
  class Searching;
  class FileWork;

  void addSegment(const Napi::CallbackInfo& info);
  void setLive(const Napi::CallbackInfo& info);
  void setRangeLive(const Napi::CallbackInfo& info);
  void kill(const Napi::CallbackInfo& info);
  Napi::Value add(const Napi::CallbackInfo& info);
  Napi::Value mend(const Napi::CallbackInfo& info);
  Napi::Value health(const Napi::CallbackInfo& info);
  Napi::Value search(const Napi::CallbackInfo& info);
  Napi::Value planOf(const Napi::CallbackInfo& info);
  Napi::Value save(const Napi::CallbackInfo& info);
  Napi::Value load(const Napi::CallbackInfo& info);
  Napi::Value unproven(const Napi::CallbackInfo& info);
  Napi::Value prove(const Napi::CallbackInfo& info);
  Napi::Value mapped(const Napi::CallbackInfo& info);
  Napi::Value length(const Napi::CallbackInfo& info);
  Napi::Value live(const Napi::CallbackInfo& info);
  Napi::Value bytes(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);
  void release();
  /** The work of looking whether the slots of [from, from + count) are found. */
  /** Settles the promise of some work. */
  std::function<void(std::exception_ptr)> finisherOf(Pending* work) const;

  const std::shared_ptr<Environment> environment_;
  /** Set when the graph is closed or its environment ends. Threads may look at it when this is gone. */
  const std::shared_ptr<std::atomic<bool>> stopped_;
  std::shared_ptr<Graph> graph_;
  std::shared_ptr<const Rows> rows_;
  /** Keeps the memory of the rows for as long as they are in use. */
  std::vector<Napi::Reference<Napi::ArrayBuffer>> segments_;
  size_t worksUnderWay_ = 0;
};

}  // namespace vstore

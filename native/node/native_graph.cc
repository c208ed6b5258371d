/** The methods of the JavaScript object: each starts work on other threads, or answers at once. */
#include "node/native_graph.h"

#include <stdexcept>

namespace vstore {
namespace {

uint32_t uint32At(const Napi::CallbackInfo& info, size_t i) { return info[i].As<Napi::Number>().Uint32Value(); }

/** Members of a JavaScript object, by name. Refuses a missing one, and one of another type. */
class Members {
 public:
  explicit Members(const Napi::Value& value) : object_(value.As<Napi::Object>()) {
    if (!value.IsObject()) throw Napi::TypeError::New(value.Env(), "expected an object of options");
  }

  uint32_t integer(const char* name) const { return number(name).Uint32Value(); }
  double real(const char* name) const { return number(name).DoubleValue(); }
  bool boolean(const char* name) const {
    const Napi::Value value = object_.Get(name);
    if (!value.IsBoolean()) refuse(name, "a boolean");
    return value.As<Napi::Boolean>().Value();
  }
  /** Nothing where it is undefined. */
  std::optional<Allowed> slots(const char* name) const {
    const Napi::Value value = object_.Get(name);
    if (value.IsUndefined()) return std::nullopt;
    if (!value.IsTypedArray()) refuse(name, "a Uint8Array");
    const auto array = value.As<Napi::Uint8Array>();
    return Allowed(array.Data(), array.ByteLength());
  }

 private:
  Napi::Number number(const char* name) const {
    const Napi::Value value = object_.Get(name);
    if (!value.IsNumber()) refuse(name, "a number");
    return value.As<Napi::Number>();
  }
  [[noreturn]] void refuse(const char* name, const char* expected) const {
    throw Napi::TypeError::New(object_.Env(), std::string("'") + name + "' must be " + expected);
  }

  const Napi::Object object_;
};

GraphOptions graphOptionsOf(const Members& given) {
  GraphOptions options;
  options.dimensions = given.integer("dimensions");
  options.metric = static_cast<Metric>(given.integer("metric"));
  options.quantization = static_cast<Quantization>(given.integer("quantization"));
  options.M = given.integer("M");
  options.efConstruction = given.integer("efConstruction");
  return options;
}

SearchOptions searchOptionsOf(const Members& given) {
  SearchOptions options;
  options.k = given.integer("k");
  options.ef = given.integer("ef");
  options.exact = given.boolean("exact");
  options.within = given.real("within");
  options.slots = given.integer("slots");
  options.watermark = given.integer("watermark");
  options.coldRows = given.boolean("coldRows");
  options.allowed = given.slots("allowed");
  return options;
}

}  // namespace

/** Keeps the graph's object, and with it the memory of its rows, until it is settled. */
class NativeGraph::Work : public Pending {
 public:
  Work(Napi::Env env, NativeGraph& graph)
      : Pending(env), graph_(graph), object_(Napi::Persistent(graph.Value())) {
    graph_.worksUnderWay_++;
  }
  ~Work() override {
    if (--graph_.worksUnderWay_ == 0 && *graph_.stopped_) graph_.release();
  }

 protected:
  Napi::Value result(Napi::Env env) override {
    if (*graph_.stopped_) throw std::runtime_error("the graph was closed");
    return value(env);
  }
  virtual Napi::Value value(Napi::Env env) { return env.Undefined(); }

  NativeGraph& graph_;

 private:
  const Napi::ObjectReference object_;
};

class NativeGraph::Addition : public Work {
 public:
  using Work::Work;
};

class NativeGraph::Searching : public Work {
 public:
  Searching(Napi::Env env, NativeGraph& graph, std::shared_ptr<Search> search, size_t k)
      : Work(env, graph), search_(std::move(search)), k_(k) {}

 protected:
  Napi::Value value(Napi::Env env) override {
    const size_t n = search_->size();
    auto counts = Napi::Uint32Array::New(env, n);
    auto slots = Napi::Uint32Array::New(env, n * k_);
    auto distances = Napi::Float64Array::New(env, n * k_);
    for (size_t i = 0; i < n; i++) {
      size_t at = i * k_;
      for (const Neighbour& neighbour : search_->results(i)) {
        slots[at] = neighbour.slot;
        distances[at++] = neighbour.distance;
      }
      counts[i] = static_cast<uint32_t>(at - i * k_);
    }
    auto results = Napi::Object::New(env);
    results["counts"] = counts;
    results["slots"] = slots;
    results["distances"] = distances;
    return results;
  }

 private:
  const std::shared_ptr<Search> search_;
  const size_t k_;
};

/** Waits for the disk, so it has a thread of its own. */
class NativeGraph::FileWork : public Work {
 public:
  using Work::Work;
  ~FileWork() override {
    if (thread_.joinable()) thread_.join();
  }

  Napi::Promise start(std::function<void()> run) {
    const auto& environment = graph_.environment_;
    const Napi::Promise promise = environment->begin(this);
    thread_ = std::thread([this, environment = environment.get(), run = std::move(run)] {
      try {
        run();
      } catch (...) {
        failure = std::current_exception();
      }
      environment->finished(this);
    });
    return promise;
  }

  /** What was loaded. */
  std::shared_ptr<Graph> loaded;

 protected:
  Napi::Value value(Napi::Env env) override {
    if (loaded) graph_.graph_ = std::move(loaded);
    return env.Undefined();
  }

 private:
  std::thread thread_;
};

Napi::Function NativeGraph::define(Napi::Env env) {
  return DefineClass(env, "Graph",
                     {
                         InstanceMethod<&NativeGraph::addSegment>("addSegment"),
                         InstanceMethod<&NativeGraph::setLive>("setLive"),
                         InstanceMethod<&NativeGraph::setRangeLive>("setRangeLive"),
                         InstanceMethod<&NativeGraph::kill>("kill"),
                         InstanceMethod<&NativeGraph::add>("add"),
                         InstanceMethod<&NativeGraph::search>("search"),
                         InstanceMethod<&NativeGraph::planOf>("planOf"),
                         InstanceMethod<&NativeGraph::save>("save"),
                         InstanceMethod<&NativeGraph::load>("load"),
                         InstanceMethod<&NativeGraph::unproven>("unproven"),
                         InstanceMethod<&NativeGraph::prove>("prove"),
                         InstanceMethod<&NativeGraph::mapped>("mapped"),
                         InstanceMethod<&NativeGraph::close>("close"),
                         InstanceMethod<&NativeGraph::mend>("mend"),
                         InstanceMethod<&NativeGraph::health>("health"),
                         InstanceMethod<&NativeGraph::length>("length"),
                         InstanceMethod<&NativeGraph::live>("live"),
                         InstanceMethod<&NativeGraph::bytes>("bytes"),
                     });
}

NativeGraph::NativeGraph(const Napi::CallbackInfo& info)
    : ObjectWrap(info),
      environment_(*info.Env().GetInstanceData<std::shared_ptr<Environment>>()),
      stopped_(std::make_shared<std::atomic<bool>>(false)),
      graph_(std::make_shared<Graph>(graphOptionsOf(Members(info[0])))),
      rows_(std::make_shared<Rows>(graph_->options.dimensions)) {
  environment_->watch(stopped_.get());
}

NativeGraph::~NativeGraph() { environment_->unwatch(stopped_.get()); }

void NativeGraph::addSegment(const Napi::CallbackInfo& info) {
  const auto rows = info[0].As<Napi::Float32Array>();
  rows_ = std::make_shared<Rows>(rows_->with(rows.Data(), rows.ElementLength() / graph_->options.dimensions));
  // A row is read alone: what lies beside it is as likely as any other.
  if (info[1].As<Napi::Boolean>().Value()) Rows::advise(rows.Data(), rows.ByteLength(), MADV_RANDOM);
  segments_.push_back(Napi::Persistent(rows.ArrayBuffer()));
  environment_->endBeforeAllElse();
}

void NativeGraph::setLive(const Napi::CallbackInfo& info) { graph_->setLive(uint32At(info, 0)); }

void NativeGraph::setRangeLive(const Napi::CallbackInfo& info) {
  const Slot to = uint32At(info, 1);
  for (Slot slot = uint32At(info, 0); slot < to; slot++) graph_->setLive(slot);
}

void NativeGraph::kill(const Napi::CallbackInfo& info) { graph_->kill(uint32At(info, 0)); }

Napi::Value NativeGraph::add(const Napi::CallbackInfo& info) {
  const Slot from = uint32At(info, 0);
  const size_t count = uint32At(info, 1) - from;
  auto* work = new Addition(info.Env(), *this);
  const auto link = [graph = graph_, rows = rows_, from](size_t i) {
    graph->learn(*rows);
    const auto slot = static_cast<Slot>(from + i);
    if (slot >= graph->nodes.slots()) return;
    const Life& life = graph->nodes.life(slot);
    if (life.isAlive() && !life.isLinked()) graph->insert(slot, *rows);
    graph->nodes.filled(slot);
  };
  const Napi::Promise promise = environment_->begin(work);
  Pool::ofProcess().run({Pool::Kind::build, count, link, finisherOf(work), *stopped_});
  return promise;
}

Napi::Value NativeGraph::mend(const Napi::CallbackInfo& info) {
  const Slot from = uint32At(info, 0);
  const size_t count = uint32At(info, 1) - from;
  auto* work = new Addition(info.Env(), *this);
  const auto mend = [graph = graph_, rows = rows_, from](size_t i) {
    const auto slot = static_cast<Slot>(from + i);
    if (slot < graph->nodes.slots()) graph->mend(slot, *rows);
  };
  const Napi::Promise promise = environment_->begin(work);
  Pool::ofProcess().run({Pool::Kind::build, count, mend, finisherOf(work), *stopped_});
  return promise;
}

std::function<void(std::exception_ptr)> NativeGraph::finisherOf(Pending* work) const {
  return [work, environment = environment_.get(), stopped = stopped_](std::exception_ptr failure) {
    work->failure = failure;
    environment->finished(work);
  };
}

Napi::Value NativeGraph::search(const Napi::CallbackInfo& info) {
  const auto queries = info[0].As<Napi::Float32Array>();
  const Members given(info[1]);
  SearchOptions options = searchOptionsOf(given);
  const size_t k = options.k;
  const size_t count = queries.ElementLength() / graph_->options.dimensions;
  const auto search = std::make_shared<Search>(graph_, rows_, std::move(options), queries.Data(), count);
  auto* work = new Searching(info.Env(), *this, search, k);
  const auto done = finisherOf(work);
  const Napi::Promise promise = environment_->begin(work);
  const bool together = given.boolean("together");
  const auto wanted = [together, environment = environment_.get(), settled = environment_->settled()] {
    return !together || environment->hasDeliveries() || environment->settled() != settled;
  };
  search->start(Pool::ofProcess(), *stopped_, done, wanted);
  return promise;
}

Napi::Value NativeGraph::planOf(const Napi::CallbackInfo& info) {
  const Plan plan = vstore::planOf(*graph_, uint32At(info, 0), uint32At(info, 1));
  return Napi::Number::New(info.Env(), static_cast<uint32_t>(plan));
}

Napi::Value NativeGraph::save(const Napi::CallbackInfo& info) {
  auto* work = new FileWork(info.Env(), *this);
  const bool maps = info[1].As<Napi::Boolean>().Value();
  return work->start([graph = graph_, path = info[0].As<Napi::String>().Utf8Value(), maps] {
    saveGraph(*graph, path, maps);
  });
}

Napi::Value NativeGraph::load(const Napi::CallbackInfo& info) {
  auto* work = new FileWork(info.Env(), *this);
  return work->start([work, options = graph_->options, path = info[0].As<Napi::String>().Utf8Value()] {
    work->loaded = loadGraph(path, options);
  });
}

Napi::Value NativeGraph::unproven(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(graph_->unproven()));
}

/** Compares some of what was mapped with its checksums. */
Napi::Value NativeGraph::prove(const Napi::CallbackInfo& info) {
  auto* work = new Addition(info.Env(), *this);
  const size_t from = uint32At(info, 0), count = uint32At(info, 1) - from;
  const bool keepsMapped = info[2].As<Napi::Boolean>().Value();
  const auto prove = [graph = graph_, from, keepsMapped](size_t i) { graph->prove(from + i, keepsMapped); };
  const Napi::Promise promise = environment_->begin(work);
  Pool::ofProcess().run({Pool::Kind::build, count, prove, finisherOf(work), *stopped_});
  return promise;
}

/** Bytes that are mapped from a file, and those of them that are in memory. */
Napi::Value NativeGraph::mapped(const Napi::CallbackInfo& info) {
  constexpr size_t regionsMax = 64;
  const Nodes& nodes = graph_->nodes;
  auto mapped = Napi::Object::New(info.Env());
  mapped["bytes"] = Napi::Number::New(info.Env(), static_cast<double>(nodes.mappedBytes()));
  mapped["resident"] = Napi::Number::New(info.Env(), static_cast<double>(nodes.residentBytes(regionsMax)));
  return mapped;
}

Napi::Value NativeGraph::length(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), graph_->length());
}

Napi::Value NativeGraph::live(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), graph_->live());
}

Napi::Value NativeGraph::bytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(graph_->bytes()));
}

/** Counters of the graph since it was made or loaded. */
Napi::Value NativeGraph::health(const Napi::CallbackInfo& info) {
  auto health = Napi::Object::New(info.Env());
  health["missed"] = Napi::Number::New(info.Env(), static_cast<double>(graph_->missed()));
  health["relinked"] = Napi::Number::New(info.Env(), static_cast<double>(graph_->relinked()));
  health["centred"] = Napi::Boolean::New(info.Env(), graph_->space.isCentred());
  return health;
}

/** Cuts work under way short. It gives back the memory when it has ended. */
void NativeGraph::close(const Napi::CallbackInfo&) {
  *stopped_ = true;
  if (worksUnderWay_ == 0) release();
}

void NativeGraph::release() {
  graph_.reset();
  rows_.reset();
  segments_.clear();
}

}  // namespace vstore

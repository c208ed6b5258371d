/**
 * The graph of this project beside hnswlib's, on one thread: the same codes, the same kernels, the same vectors in the
 * same order, without rescoring. What differs is the graph alone. `make -C native graphs` after bench:search has
 * fetched the vectors; prints queries/s and recall@10 of both, the best of several rounds each.
 */
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>

#include "graph/graph.h"
#include "hnswlib.h"

namespace {

using namespace vstore;
using Clock = std::chrono::steady_clock;

constexpr uint32_t dimensions = 100;
constexpr uint32_t M = 16;
constexpr uint32_t efConstruction = 200;
constexpr size_t k = 10;
constexpr int rounds = 7;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

template <class T>
std::vector<T> read(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw std::runtime_error(path + " is missing: run bench:search first");
  std::vector<T> values(static_cast<size_t>(file.tellg()) / sizeof(T));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
  return values;
}

/** Our codes and kernels as hnswlib takes them. */
class Space : public hnswlib::SpaceInterface<float> {
 public:
  explicit Space(Quantization quantization) : codes(dimensions, Metric::cosine, quantization) {}
  size_t get_data_size() override { return codes.bytes(); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return distance; }
  void* get_dist_func_param() override { return &codes; }

  CodeSpace codes;

 private:
  static float distance(const void* a, const void* b, const void* codes) {
    const auto& space = *static_cast<const CodeSpace*>(codes);
    const Origin origin = space.originOf(*static_cast<const Code*>(a));
    return static_cast<float>(space.estimate(origin, *static_cast<const Code*>(b)).distance);
  }
};

struct Data {
  std::vector<float> base, queries;
  std::vector<uint32_t> truth;
  size_t rows() const { return base.size() / dimensions; }
  size_t asked() const { return queries.size() / dimensions; }
};

struct Measured {
  double rate = 0;
  double recall = 0;
};

/** @param search finds slots for a code */
template <class Search>
void measure(const Data& data, const Space& space, Measured& best, const Search& search) {
  std::vector<std::byte> memory(space.codes.bytes());
  auto& code = *reinterpret_cast<Code*>(memory.data());
  std::vector<Slot> found;
  size_t hits = 0;
  const auto start = Clock::now();
  for (size_t i = 0; i < data.asked(); i++) {
    space.codes.encode(&data.queries[i * dimensions], code);
    search(code, &data.queries[i * dimensions], found);
    const auto truth = data.truth.begin() + static_cast<std::ptrdiff_t>(i * k);
    for (const Slot slot : found) hits += std::count(truth, truth + k, slot);
  }
  best.rate = std::max(best.rate, static_cast<double>(data.asked()) / since(start));
  best.recall = static_cast<double>(hits) / static_cast<double>(data.asked() * k);
}

void compare(const Data& data, Quantization quantization, const char* name) {
  Space space(quantization);
  std::vector<std::byte> memory(space.codes.bytes());
  auto start = Clock::now();
  hnswlib::HierarchicalNSW<float> theirs(&space, data.rows(), M, efConstruction);
  for (size_t i = 0; i < data.rows(); i++) {
    space.codes.encode(&data.base[i * dimensions], *reinterpret_cast<Code*>(memory.data()));
    theirs.addPoint(memory.data(), i);
  }
  const double theirBuild = static_cast<double>(data.rows()) / since(start);
  start = Clock::now();
  const Rows rows = Rows(dimensions).with(data.base.data(), data.rows());
  Graph ours({dimensions, Metric::cosine, quantization, M, efConstruction});
  for (Slot slot = 0; slot < data.rows(); slot++) {
    ours.setLive(slot);
    ours.insert(slot, rows);
  }
  const double ourBuild = static_cast<double>(data.rows()) / since(start);
  std::printf("%s build/s: hnswlib %.0f, ours %.0f, ratio %.2f\n", name, theirBuild, ourBuild, ourBuild / theirBuild);
  for (const size_t ef : {32, 48, 64, 96, 128, 256}) {
    theirs.setEf(ef);
    Measured hnswlib, vstore;
    for (int round = 0; round < rounds; round++) {
      measure(data, space, hnswlib, [&](const Code& code, const float*, std::vector<Slot>& found) {
        found.clear();
        for (auto queue = theirs.searchKnn(&code, k); !queue.empty(); queue.pop()) {
          found.push_back(static_cast<Slot>(queue.top().second));
        }
      });
      measure(data, space, vstore, [&](const Code& code, const float* query, std::vector<Slot>& found) {
        Scratch& scratch = Scratch::ofThread();
        Probe probe(ours.space, ours.nodes, rows, query, ours.space.originOf(code));
        ours.search(probe, ef, VisitsMax{data.rows()}, [](Slot) { return true; }, scratch);
        found.clear();
        for (size_t i = 0; i < k; i++) found.push_back(slotOf(scratch.found[i]));
      });
    }
    std::printf("%s ef %zu: hnswlib %.0f/s at %.3f, ours %.0f/s at %.3f, ratio %.2f\n", name, ef, hnswlib.rate,
                hnswlib.recall, vstore.rate, vstore.recall, vstore.rate / hnswlib.rate);
  }
}

}  // namespace

/** @param argv the directory of the vectors */
int main(int, char** argv) {
  const std::string directory = argv[1];
  const Data data{read<float>(directory + "/base.f32"), read<float>(directory + "/queries.f32"),
                  read<uint32_t>(directory + "/truth.u32")};
  compare(data, Quantization::int8, "int8");
  compare(data, Quantization::f32, "f32");
}

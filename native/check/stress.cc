/**
 * Everything at once, without Node: one thread adds and kills slots and starts searches and saves, as JavaScript does,
 * while the pool inserts and searches. It ends with 0 when every answer was right. To be built with ThreadSanitizer and
 * AddressSanitizer: `make -C native stress-tsan stress-asan`.
 */
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>

#include "graph/graph_file.h"
#include "search.h"

namespace {

using namespace vstore;

constexpr uint32_t dimensions = 24;
constexpr Slot slotsMax = 80'000;
constexpr Slot step = 500;
constexpr size_t k = 10;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "stress: %s\n", what);
  std::exit(1);
}

/** Counts work under way. */
class Pile {
 public:
  Search::Done begin() {
    const std::lock_guard lock(mutex_);
    size_++;
    return [this](std::exception_ptr failure) {
      if (failure) fail("work failed");
      const std::lock_guard ending(mutex_);
      size_--;
      smaller_.notify_all();
    };
  }
  void wait(size_t size) {
    std::unique_lock lock(mutex_);
    smaller_.wait(lock, [&] { return size_ <= size; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable smaller_;
  size_t size_ = 0;
};

class Stress {
 public:
  Stress(Metric metric, Quantization quantization, uint32_t seed)
      : random_(seed),
        graph_(std::make_shared<Graph>(GraphOptions{dimensions, metric, quantization, 8, 40})),
        data_(static_cast<size_t>(slotsMax) * dimensions),
        rows_(std::make_shared<Rows>(Rows(dimensions).with(data_.data(), slotsMax))) {}

  /** Slots are born, indexed, searched and killed, in steps, for about as long. */
  void run(Slot slots, const std::string& path) {
    for (; slots_ < slots; slots_ += step) {
      for (Slot slot = slots_; slot < slots_ + step; slot++) give(slot);
      additions_.wait(0);
      watermark_ = indexing_;
      if (slots_ % (16 * step) == 0) saveAndLoad(path);
      add(slots_ + step);
      for (int i = 0; i < 40; i++) search(i);
      for (Slot i = 0; i < step / 4; i++) graph_->kill(static_cast<Slot>(random_() % (slots_ + step)));
    }
    additions_.wait(0);
    searches_.wait(0);
    std::remove(path.c_str());
  }

 private:
  void give(Slot slot) {
    const float length = random_() % 200 == 0 ? 1000 : 1;
    for (uint32_t i = 0; i < dimensions; i++) data_[slot * dimensions + i] = length * normal_(random_);
    graph_->setLive(slot);
  }

  void add(Slot to) {
    const Slot from = indexing_;
    indexing_ = to;
    const auto link = [this, from](size_t i) {
      const auto slot = static_cast<Slot>(from + i);
      graph_->learn(*rows_);
      if (graph_->nodes.life(slot).isAlive()) graph_->insert(slot, *rows_);
    };
    Pool::ofProcess().run({Pool::Kind::build, to - from, link, additions_.begin(), never_});
  }

  void search(int i) {
    searches_.wait(8);
    SearchOptions options{k, 40, i % 20 == 0, std::numeric_limits<double>::infinity(), slots_, watermark_, i % 5 == 0, {}};
    if (i % 4 == 0) {
      const std::vector<uint8_t> bits(slots_ / 8, static_cast<uint8_t>(random_()));
      options.allowed.emplace(bits.data(), bits.size());
    }
    const float* query = &data_[random_() % (slots_ + 1) * dimensions];
    const auto work = std::make_shared<Search>(graph_, rows_, options, query, 1);
    const auto end = searches_.begin();
    const auto done = [this, work, options, end](std::exception_ptr failure) {
      if (!failure) check(*work, options);
      end(failure);
    };
    work->start(Pool::ofProcess(), never_, done, [isBusy = i % 3 == 0] { return isBusy; });
  }

  void check(const Search& search, const SearchOptions& options) const {
    const auto& found = search.results(0);
    if (found.size() < k && options.slots > 20 * k && !options.allowed) fail("fewer than k were found");
    for (size_t i = 0; i < found.size(); i++) {
      if (found[i].slot >= options.slots) fail("a slot of the future was found");
      if (i > 0 && !(found[i - 1] < found[i])) fail("results are out of order");
    }
  }

  void saveAndLoad(const std::string& path) {
    // Searches go on, also while chunks are put into the file, and taken out of it in the next round.
    Nodes& nodes = graph_->nodes;
    for (size_t chunk = 0; chunk < nodes.capacity() / Nodes::chunkSlots; chunk++) {
      if (nodes.isMapped(chunk)) nodes.own(chunk, [](const std::byte*) { return true; });
    }
    saveGraph(*graph_, path, slots_ % (32 * step) == 0);
    const auto loaded = loadGraph(path, graph_->options);
    if (loaded->length() != graph_->length()) fail("the saved graph is another");
    for (size_t i = 0; i < loaded->unproven(); i++) loaded->prove(i, i % 2 == 0);
  }

  std::mt19937 random_;
  std::normal_distribution<float> normal_;
  const std::shared_ptr<Graph> graph_;
  std::vector<float> data_;
  const std::shared_ptr<const Rows> rows_;
  const std::atomic<bool> never_{false};
  Pile additions_, searches_;
  Slot slots_ = 0, indexing_ = 0, watermark_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
  const auto slots = static_cast<Slot>(count > 1 ? std::atoi(arguments[1]) : 4000);
  const auto seed = static_cast<uint32_t>(count > 2 ? std::atoi(arguments[2]) : 1);
  const std::string path = "/tmp/vstore-stress-" + std::to_string(getpid());
  if (slots > slotsMax) fail("too many slots");
  Pool::ofProcess().hold();
  Stress(Metric::cosine, Quantization::int8, seed).run(slots, path);
  Stress(Metric::l2, Quantization::f16, seed).run(slots, path);
  Stress(Metric::ip, Quantization::f32, seed).run(slots, path);
  Stress(Metric::cosine, Quantization::int4, seed).run(slots, path);
  Stress(Metric::l2, Quantization::bin, seed).run(slots, path);
  Pool::ofProcess().release();
  std::printf("stress: %u slots, seed %u: right\n", slots, seed);
}

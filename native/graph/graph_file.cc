/** Writing and reading graphs. */
#include "graph/graph_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "crc32.h"

namespace vstore {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian");

constexpr char magic[8] = {'V', 'S', 'T', 'O', 'R', 'G', 'R', 'A'};
constexpr uint32_t formatVersion = 5;
/** Larger than the pages of any system. */
constexpr uint64_t pageBytes = 64 << 10;

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t dimensions;
  Metric metric;
  Quantization quantization;
  uint32_t M;
  uint32_t efConstruction;
  Slot slots;
  Slot entry;
  uint32_t length;
  /** Components of the centre that follows: all or none. */
  uint32_t centre;
  float normMax, noiseMax, outlierNorm;
  uint32_t checksum;
};
static_assert(sizeof(Header) == 64, "no padding");

uint32_t checksumOf(const Header& header) {
  return crc32(reinterpret_cast<const std::byte*>(&header), offsetof(Header, checksum));
}

class File {
 public:
  File(const std::string& path, int flags) : path_(path), descriptor_(open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (descriptor_ < 0) fail();
  }
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int descriptor() const { return descriptor_; }

  uint64_t size() const {
    struct stat status;
    if (fstat(descriptor_, &status) != 0) fail();
    return static_cast<uint64_t>(status.st_size);
  }

  void seek(uint64_t position) {
    if (lseek(descriptor_, static_cast<off_t>(position), SEEK_SET) < 0) fail();
  }

  void sync() {
#ifdef __linux__
    if (fdatasync(descriptor_) != 0) fail();
#endif
  }

  void write(const void* from, size_t n) {
    for (auto bytes = static_cast<const std::byte*>(from); n > 0;) {
      const ssize_t written = ::write(descriptor_, bytes, n);
      if (written < 0 && errno != EINTR) fail();
      bytes += std::max<ssize_t>(written, 0);
      n -= static_cast<size_t>(std::max<ssize_t>(written, 0));
    }
  }

  /** How many bytes there were, at most n. */
  size_t read(void* to, size_t n) {
    size_t got = 0;
    while (got < n) {
      const ssize_t bytes = ::read(descriptor_, static_cast<std::byte*>(to) + got, n - got);
      if (bytes < 0 && errno != EINTR) fail();
      if (bytes == 0) break;
      got += static_cast<size_t>(std::max<ssize_t>(bytes, 0));
    }
    return got;
  }

  /** Reports what only shows at closing. */
  void close() {
    const int descriptor = descriptor_;
    descriptor_ = -1;
    if (::close(descriptor) != 0) fail();
  }

  [[noreturn]] void damaged(const std::string& what) const { throw std::runtime_error(path_ + ": " + what); }

 private:
  [[noreturn]] void fail() const { throw std::system_error(errno, std::generic_category(), path_); }

  const std::string path_;
  int descriptor_;
};

constexpr Slot chunkSlots = Nodes::chunkSlots;

/** Where the parts of a file are that has so many slots. */
struct Places {
  Places(const Nodes& nodes, Slot slots)
      : wholeChunks(slots / chunkSlots), rest(slots % chunkSlots), chunks(wholeChunks + (rest > 0)),
        first(wholeChunks > 0 ? pageBytes : sizeof(Header)),
        index(first + wholeChunks * nodes.regionBytes() + nodes.regionBytes(rest)) {}
  Slot slotsOf(size_t chunk) const { return chunk < wholeChunks ? chunkSlots : rest; }
  uint64_t region(const Nodes& nodes, size_t chunk) const { return first + chunk * nodes.regionBytes(); }

  const size_t wholeChunks;
  /** Slots of the last chunk, which is not whole. */
  const Slot rest;
  const size_t chunks;
  const uint64_t first, index;
};

Header headerOf(const GraphOptions& options, Slot slots, const Graph::Saved& saved) {
  Header header{{},
                formatVersion,
                options.dimensions,
                options.metric,
                options.quantization,
                options.M,
                options.efConstruction,
                slots,
                saved.entry,
                saved.length,
                static_cast<uint32_t>(saved.centre.size()),
                saved.normMax,
                saved.noiseMax,
                saved.outlierNorm,
                0};
  std::memcpy(header.magic, magic, sizeof magic);
  header.checksum = checksumOf(header);
  return header;
}

/** Magic, then version, then checksum, then the options. */
Header readHeader(File& file, const GraphOptions& options) {
  Header header{};
  const size_t bytes = file.read(&header, sizeof header);
  if (std::memcmp(header.magic, magic, sizeof magic) != 0) file.damaged("not a vstore graph");
  if (header.version != formatVersion) file.damaged("format version " + std::to_string(header.version));
  if (bytes < sizeof header) file.damaged("the header is cut off");
  if (header.checksum != checksumOf(header)) file.damaged("the header does not match its checksum");
  const std::vector<float> centre(header.centre == options.dimensions ? header.centre : 0);
  if (header.centre != centre.size()) file.damaged("a graph of other options");
  const Graph::Saved said{header.entry, header.length, header.normMax, header.noiseMax, header.outlierNorm, centre,
                          {}, {}};
  const Header expected = headerOf(options, header.slots, said);
  if (std::memcmp(&header, &expected, sizeof header) != 0) file.damaged("a graph of other options");
  return header;
}

/** What the index consists of, one part after the other, to be written or read. */
struct Index {
  std::vector<uint32_t> checksums, hashes;
  std::vector<float> centre;
  std::vector<uint8_t> kinds;

  /** Calls visit(bytes, n) for each part in turn. */
  template <class Visit>
  void forParts(const Nodes& nodes, const Places& places, const Visit& visit) {
    visit(checksums.data(), checksums.size() * sizeof(uint32_t));
    visit(hashes.data(), hashes.size() * sizeof(uint32_t));
    for (size_t chunk = 0; chunk < places.chunks; chunk++) {
      visit(nodes.upperLinks(chunk), nodes.upperBytes(chunk, places.slotsOf(chunk)));
    }
    visit(centre.data(), centre.size() * sizeof(float));
    visit(kinds.data(), kinds.size());
  }
};

/** A checksum of several parts. */
class Checksum {
 public:
  void add(const void* bytes, size_t n) { value_ = crc32(static_cast<const std::byte*>(bytes), n, value_); }
  uint32_t value() const { return value_; }

 private:
  uint32_t value_ = 0;
};

void pad(File& file, const Places& places) {
  const std::vector<std::byte> zeros(places.first - sizeof(Header));
  file.write(zeros.data(), zeros.size());
}

void writeRegions(File& file, const Nodes& nodes, const Places& places, std::vector<uint32_t>& checksums) {
  for (size_t chunk = 0; chunk < places.chunks; chunk++) {
    const Slot slots = places.slotsOf(chunk);
    Checksum checksum;
    const auto write = [&](const std::byte* bytes, size_t n) {
      checksum.add(bytes, n);
      file.write(bytes, n);
    };
    write(nodes.region(chunk), nodes.codesBytes(slots));
    write(nodes.region(chunk) + nodes.codesBytes(chunkSlots), slots * nodes.linksBytes());
    checksums.push_back(checksum.value());
  }
}

Index indexOf(const Graph& graph, Slot slots) {
  Index index;
  index.centre = graph.space.centre();
  index.hashes.resize(slots);
  index.kinds.resize(slots);
  for (Slot slot = 0; slot < slots; slot++) {
    index.kinds[slot] = graph.nodes.life(slot).kind();
    if (index.kinds[slot] != 0) index.hashes[slot] = graph.nodes.code(slot).hash;
  }
  return index;
}

void readExactly(File& file, void* bytes, size_t n) {
  if (file.read(bytes, n) < n) file.damaged("the file is cut off");
}

/** Zeros up to the first region, then as many bytes as there must be. */
void checkPlaces(File& file, const Graph& graph, const Places& places, const Header& header) {
  std::vector<std::byte> zeros(places.first - sizeof(Header));
  readExactly(file, zeros.data(), zeros.size());
  const auto isZero = [](std::byte byte) { return byte == std::byte{0}; };
  if (!std::all_of(zeros.begin(), zeros.end(), isZero)) file.damaged("the header goes on after its end");
  uint64_t end = places.index + sizeof(uint32_t) + places.chunks * sizeof(uint32_t);
  end += uint64_t{header.slots} * (sizeof(uint32_t) + sizeof(uint8_t)) + header.centre * sizeof(float);
  for (size_t chunk = 0; chunk < places.chunks; chunk++) {
    end += graph.nodes.upperBytes(chunk, places.slotsOf(chunk));
  }
  if (file.size() < end) file.damaged("the file is cut off");
  if (file.size() > end) file.damaged("the file goes on after its end");
}

Index readIndex(File& file, const Graph& graph, const Places& places, const Header& header) {
  Index index;
  index.checksums.resize(places.chunks);
  index.hashes.resize(header.slots);
  index.centre.resize(header.centre);
  index.kinds.resize(header.slots);
  Checksum checksum;
  checksum.add(&header, sizeof header);
  file.seek(places.index);
  index.forParts(graph.nodes, places, [&](void* bytes, size_t n) {
    readExactly(file, bytes, n);
    checksum.add(bytes, n);
  });
  uint32_t expected;
  readExactly(file, &expected, sizeof expected);
  if (expected != checksum.value()) file.damaged("the index does not match its checksum");
  return index;
}

/** Maps the regions of whole chunks, and reads the last one. */
void takeRegions(File& file, Graph& graph, const Places& places, const std::vector<uint32_t>& checksums) {
  Nodes& nodes = graph.nodes;
  for (size_t chunk = 0; chunk < places.wholeChunks; chunk++) {
    nodes.map(chunk, file.descriptor(), places.region(nodes, chunk));
  }
  if (places.rest == 0) return;
  const size_t last = places.wholeChunks;
  Checksum checksum;
  const auto read = [&](std::byte* bytes, size_t n) {
    readExactly(file, bytes, n);
    checksum.add(bytes, n);
  };
  file.seek(places.region(nodes, last));
  read(nodes.region(last), nodes.codesBytes(places.rest));
  read(nodes.region(last) + nodes.codesBytes(chunkSlots), places.rest * nodes.linksBytes());
  if (checksum.value() != checksums[last]) file.damaged("nodes do not match their checksum");
}

bool isNode(const Graph& graph, Slot slot) {
  return slot < graph.nodes.slots() && graph.nodes.life(slot).isLinked() && !graph.nodes.life(slot).isTwin();
}

/** Whether a list above layer 0 is one that this graph may follow. */
bool isSound(const Graph& graph, Slot slot, uint32_t level) {
  const Link* links = graph.nodes.links(slot, level);
  const auto [count, settled] = headOf(links);
  if (settled > count || count > graph.nodes.linksMax(level) || (count > 0 && !isNode(graph, slot))) return false;
  for (uint32_t i = 0; i < count; i++) {
    const Slot to = linkAt(links, i);
    if (!isNode(graph, to) || graph.nodes.levelOf(to) < level) return false;
  }
  return true;
}

/** What every walk begins with: kinds, the entry, the lists above layer 0. */
void checkNodes(File& file, Graph& graph, const Header& header, const std::vector<uint8_t>& kinds) {
  uint32_t length = 0;
  for (Slot slot = 0; slot < header.slots; slot++) {
    if (!graph.nodes.life(slot).setKind(kinds[slot])) file.damaged("the kind of a node is wrong");
    length += kinds[slot] != 0;
  }
  for (Slot slot = 0; slot < header.slots; slot++) {
    for (uint32_t level = graph.nodes.levelOf(slot); level > 0; level--) {
      if (!isSound(graph, slot, level)) file.damaged("the links of a node are wrong");
    }
    if (kinds[slot] != 0) graph.nodes.noteUpper(graph.nodes.upperBytesOf(slot));
  }
  const bool entryIsSound = length == 0 ? header.entry == noSlot : isNode(graph, header.entry);
  if (length != header.length || !entryIsSound) file.damaged("the header does not fit the nodes");
}

}  // namespace

void saveGraph(Graph& graph, const std::string& path, bool maps) {
  File file(path, O_RDWR | O_CREAT | O_TRUNC);
  Nodes& nodes = graph.nodes;
  const Slot slots = nodes.slots();
  const Places places(nodes, slots);
  Index index = indexOf(graph, slots);
  const CodeSpace& space = graph.space;
  const Graph::Saved saved{graph.entry(),         graph.length(), space.largestNorm(), space.largestNoise(),
                           space.outlierNorm(), space.centre(), {},                  {}};
  const Header header = headerOf(graph.options, slots, saved);
  file.write(&header, sizeof header);
  pad(file, places);
  writeRegions(file, nodes, places, index.checksums);
  Checksum checksum;
  checksum.add(&header, sizeof header);
  index.forParts(nodes, places, [&](const void* bytes, size_t n) {
    file.write(bytes, n);
    checksum.add(bytes, n);
  });
  const uint32_t value = checksum.value();
  file.write(&value, sizeof value);
  if (maps && places.wholeChunks > 0) {
    // What is on disk can be taken back at once.
    file.sync();
    for (size_t chunk = 0; chunk < places.wholeChunks; chunk++) {
      nodes.map(chunk, file.descriptor(), places.region(nodes, chunk));
    }
  }
  file.close();
}

std::unique_ptr<Graph> loadGraph(const std::string& path, const GraphOptions& options) {
  File file(path, O_RDONLY);
  const Header header = readHeader(file, options);
  auto graph = std::make_unique<Graph>(options);
  const Places places(graph->nodes, header.slots);
  checkPlaces(file, *graph, places, header);
  if (header.slots > 0) graph->nodes.reserve(header.slots - 1);
  Index index = readIndex(file, *graph, places, header);
  takeRegions(file, *graph, places, index.checksums);
  checkNodes(file, *graph, header, index.kinds);
  Graph::Saved saved{header.entry,       header.length,           header.normMax,          header.noiseMax,
                     header.outlierNorm, std::move(index.centre), std::move(index.hashes), {}};
  for (size_t chunk = 0; chunk < places.wholeChunks; chunk++) saved.unproven.push_back({chunk, index.checksums[chunk]});
  graph->adopt(std::move(saved));
  return graph;
}

}  // namespace vstore

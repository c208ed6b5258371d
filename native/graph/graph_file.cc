/** Writing and reading graphs. */
#include "graph/graph_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "crc32.h"

namespace vstore {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian");

constexpr char magic[8] = {'V', 'S', 'T', 'O', 'R', 'G', 'R', 'A'};
constexpr uint32_t formatVersion = 3;
constexpr size_t blockBytes = 4 << 20;

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
  uint32_t checksum;
};
static_assert(sizeof(Header) == 52, "no padding");

/** What a slot is in a file. */
enum class Kind : uint8_t { none = 0, node = 1, twin = 2 };

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

/** Where the parts of a block of slots [from, to) are. */
struct Block {
  Block(const Graph& graph, Slot from, Slot to) : from(from), to(to) {
    const size_t slots = to - from;
    codes = slots;
    links = codes + slots * graph.space.bytes();
    upper = links + slots * graph.nodes.linksBytes();
    end = upper;
    for (Slot slot = from; slot < to; slot++) end += graph.nodes.upperBytes(slot);
  }
  Slot from, to;
  size_t codes, links, upper, end;
};

/** Calls visit(block) for all slots in turn. */
template <class Visit>
void forBlocks(const Graph& graph, Slot slots, const Visit& visit) {
  const auto step = static_cast<Slot>(std::max<size_t>(1, blockBytes / graph.space.bytes()));
  for (uint64_t from = 0; from < slots; from += step) {
    visit(Block(graph, static_cast<Slot>(from), static_cast<Slot>(std::min<uint64_t>(from + step, slots))));
  }
}

/** Calls visit(list of links, its bytes, its place in the block) for each list of a slot. */
template <class Visit>
void forLists(const Graph& graph, const Block& block, Slot slot, size_t& upper, const Visit& visit) {
  const size_t bytes = graph.nodes.linksBytes();
  visit(graph.nodes.links(slot, 0), bytes, block.links + (slot - block.from) * bytes);
  if (graph.nodes.upperBytes(slot) > 0) visit(graph.nodes.links(slot, 1), graph.nodes.upperBytes(slot), upper);
}

void fill(const Graph& graph, const Block& block, std::byte* bytes) {
  std::memset(bytes, 0, block.end);
  size_t upper = block.upper;
  for (Slot slot = block.from; slot < block.to; upper += graph.nodes.upperBytes(slot++)) {
    const Node& node = graph.nodes.node(slot);
    if (!node.life.isLinked()) continue;
    const size_t i = slot - block.from;
    bytes[i] = static_cast<std::byte>(node.life.isTwin() ? Kind::twin : Kind::node);
    std::memcpy(bytes + block.codes + i * graph.space.bytes(), &node.code, graph.space.bytes());
    forLists(graph, block, slot, upper, [&](const Link* links, size_t n, size_t at) {
      for (size_t word = 0; word < n / sizeof(Link); word++) {
        const uint32_t link = links[word].load(std::memory_order_relaxed);
        std::memcpy(bytes + at + word * sizeof link, &link, sizeof link);
      }
    });
  }
}

void adopt(Graph& graph, const Block& block, const std::byte* bytes, std::vector<Kind>& kinds) {
  size_t upper = block.upper;
  for (Slot slot = block.from; slot < block.to; upper += graph.nodes.upperBytes(slot++)) {
    const size_t i = slot - block.from;
    kinds[slot] = static_cast<Kind>(bytes[i]);
    if (kinds[slot] == Kind::none) continue;
    Node& node = graph.nodes.node(slot);
    node.life.setLinked();
    if (kinds[slot] == Kind::twin) node.life.setTwin();
    graph.nodes.createUpper(slot);
    std::memcpy(&node.code, bytes + block.codes + i * graph.space.bytes(), graph.space.bytes());
    forLists(graph, block, slot, upper, [&](Link* links, size_t n, size_t at) {
      for (size_t word = 0; word < n / sizeof(Link); word++) {
        uint32_t link;
        std::memcpy(&link, bytes + at + word * sizeof link, sizeof link);
        links[word].store(link, std::memory_order_relaxed);
      }
    });
  }
}

bool isNode(Slot slot, const std::vector<Kind>& kinds) { return slot < kinds.size() && kinds[slot] == Kind::node; }

/** Whether a list is one that this graph may follow. */
bool isSound(const Graph& graph, Slot slot, uint32_t level, const std::vector<Kind>& kinds) {
  const Link* links = graph.nodes.links(slot, level);
  const auto [count, settled] = headOf(links);
  const uint32_t bridge = level == 0 ? graph.nodes.bridge(slot).load(std::memory_order_relaxed) : 0;
  if (bridge != 0 && !isNode(bridge - 1, kinds)) return false;
  if (settled > count || count > graph.nodes.linksMax(level) || (count > 0 && kinds[slot] == Kind::twin)) return false;
  for (uint32_t i = 0; i < count; i++) {
    const Slot to = linkAt(links, i);
    if (!isNode(to, kinds) || (level > 0 && graph.nodes.levelOf(to) < level)) return false;
  }
  return true;
}

/** Counts the twins behind a node, and notes in the node that it has some. */
uint32_t adoptTwins(File& file, Graph& graph, Slot slot, const std::vector<Kind>& kinds, uint32_t twinsMax) {
  uint32_t count = 0;
  for (uint32_t next = graph.nodes.twin(slot).load(); next != 0; count++) {
    const Slot twin = next - 1;
    if (twin >= kinds.size() || kinds[twin] != Kind::twin || count == twinsMax) file.damaged("the twins of a node are wrong");
    next = graph.nodes.twin(twin).load();
  }
  if (count > 0) graph.nodes.node(slot).life.setHasTwins();
  return count;
}

Header headerOf(const GraphOptions& options, Slot slots, Slot entry, uint32_t length, uint32_t centre) {
  Header header{{},        formatVersion,          options.dimensions, options.metric, options.quantization,
                options.M, options.efConstruction, slots,              entry,          length,
                centre,    0};
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
  const Header expected = headerOf(options, header.slots, header.entry, header.length, header.centre);
  if (std::memcmp(&header, &expected, sizeof header) != 0) file.damaged("a graph of other options");
  if (header.centre != 0 && header.centre != options.dimensions) file.damaged("the header is wrong");
  return header;
}

/** Reads bytes that are followed by their checksum. */
void readChecked(File& file, void* bytes, size_t n, const char* what) {
  uint32_t checksum;
  if (file.read(bytes, n) < n || file.read(&checksum, sizeof checksum) < sizeof checksum) {
    file.damaged("the file is cut off");
  }
  if (checksum != crc32(static_cast<const std::byte*>(bytes), n)) {
    file.damaged(std::string(what) + " does not match its checksum");
  }
}

void writeChecked(File& file, const void* bytes, size_t n) {
  const uint32_t checksum = crc32(static_cast<const std::byte*>(bytes), n);
  file.write(bytes, n);
  file.write(&checksum, sizeof checksum);
}

void readBlocks(File& file, Graph& graph, Slot slots, std::vector<Kind>& kinds) {
  std::vector<std::byte> bytes;
  forBlocks(graph, slots, [&](const Block& block) {
    bytes.resize(block.end);
    readChecked(file, bytes.data(), block.end, "a block");
    kinds.resize(block.to, Kind::none);
    graph.nodes.reserve(block.to - 1);
    // Before it is filled, a chunk that will be whole.
    for (Slot slot = block.from; slot < std::min(block.to, slots - slots % Nodes::chunkSlots); slot++) {
      if (slot % Nodes::chunkSlots == 0) graph.nodes.filled(slot + Nodes::chunkSlots - 1);
    }
    adopt(graph, block, bytes.data(), kinds);
  });
  std::byte beyond;
  if (file.read(&beyond, 1) != 0) file.damaged("the file goes on after its end");
}

void checkLinks(File& file, Graph& graph, const Header& header, const std::vector<Kind>& kinds) {
  uint32_t length = 0, twins = 0, twinsBehind = 0;
  for (Slot slot = 0; slot < header.slots; slot++) {
    if (kinds[slot] == Kind::none) continue;
    if (kinds[slot] > Kind::twin) file.damaged("the kind of a node is wrong");
    length++;
    twins += kinds[slot] == Kind::twin;
    for (uint32_t level = 0; level <= graph.nodes.levelOf(slot); level++) {
      if (!isSound(graph, slot, level, kinds)) file.damaged("the links of a node are wrong");
    }
  }
  for (Slot slot = 0; slot < header.slots; slot++) {
    if (kinds[slot] == Kind::node) twinsBehind += adoptTwins(file, graph, slot, kinds, twins - twinsBehind);
  }
  const bool entryIsSound = length == 0 ? header.entry == noSlot : isNode(header.entry, kinds);
  if (length != header.length || twins != twinsBehind || !entryIsSound) {
    file.damaged("the header does not fit the nodes");
  }
}

}  // namespace

void saveGraph(const Graph& graph, const std::string& path) {
  File file(path, O_WRONLY | O_CREAT | O_TRUNC);
  const Slot slots = graph.nodes.slots();
  const std::vector<float>& centre = graph.space.centre();
  const auto centreLength = static_cast<uint32_t>(centre.size());
  const Header header = headerOf(graph.options, slots, graph.entry(), graph.length(), centreLength);
  file.write(&header, sizeof header);
  writeChecked(file, centre.data(), centre.size() * sizeof(float));
  std::vector<std::byte> bytes;
  forBlocks(graph, slots, [&](const Block& block) {
    bytes.resize(block.end);
    fill(graph, block, bytes.data());
    writeChecked(file, bytes.data(), block.end);
  });
  file.close();
}

std::unique_ptr<Graph> loadGraph(const std::string& path, const GraphOptions& options) {
  File file(path, O_RDONLY);
  const Header header = readHeader(file, options);
  auto graph = std::make_unique<Graph>(options);
  std::vector<float> centre(header.centre);
  readChecked(file, centre.data(), centre.size() * sizeof(float), "the centre");
  std::vector<Kind> kinds;
  readBlocks(file, *graph, header.slots, kinds);
  checkLinks(file, *graph, header, kinds);
  graph->adopt(header.entry, header.length, std::move(centre));
  return graph;
}

}  // namespace vstore

/** Chunks: how they are laid out, made and given back. */
#include "graph/nodes.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "mix.h"

namespace vstore {
namespace {

constexpr size_t hugePage = 2 << 20;
#ifdef MADV_HUGEPAGE
/** MADV_COLLAPSE, which older headers do not have. */
constexpr int collapse = 25;
#endif

size_t roundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

/** A short node begins at a cache line, to lie in as few as it can; for a long one that would waste too much. */
size_t alignment(size_t codeBytes) { return codeBytes < 4 * cacheLine ? cacheLine : alignof(Node) * 2; }

}  // namespace

Pages::Pages(size_t bytes) : bytes_(roundUp(bytes, hugePage)) {
  // Large pages have to be aligned: room for that, whose ends are given back.
  void* room = mmap(nullptr, bytes_ + hugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) throw std::bad_alloc();
  auto* begin = static_cast<std::byte*>(room);
  const size_t before = roundUp(reinterpret_cast<uintptr_t>(room), hugePage) - reinterpret_cast<uintptr_t>(room);
  data_ = begin + before;
  if (before > 0) munmap(begin, before);
  if (before < hugePage) munmap(data_ + bytes_, hugePage - before);
}

void Pages::enlarge() {
#ifdef MADV_HUGEPAGE
  // The last page is not whole.
  const size_t whole = bytes_ - hugePage;
  madvise(data_, whole, MADV_HUGEPAGE);
  // Pages in use become large ones, in some milliseconds. Linux before 6.1 refuses, and does it in the background.
  madvise(data_, whole, collapse);
#endif
}

Pages::~Pages() { munmap(data_, bytes_); }

Nodes::Chunk::Chunk(const Nodes& of) : memory(chunkSlots * of.slotBytes_) {
  nodes = memory.data();
  links = reinterpret_cast<Link*>(nodes + chunkSlots * of.nodeStride_);
  upper = reinterpret_cast<Link**>(reinterpret_cast<std::byte*>(links) + chunkSlots * of.linksBytes());
  locks = reinterpret_cast<std::atomic<bool>*>(upper + chunkSlots);
}

Nodes::Chunk::~Chunk() {
  for (Slot i = 0; i < chunkSlots; i++) delete[] upper[i];
}

Nodes::Nodes(size_t codeBytes, uint32_t M)
    : M_(M),
      nodeStride_(roundUp(offsetof(Node, code) + codeBytes, alignment(codeBytes))),
      slotBytes_(nodeStride_ + linksBytes() + sizeof(Link*) + sizeof(std::atomic<bool>)),
      directory_(chunksMax * sizeof(std::atomic<Chunk*>)),
      chunks_(reinterpret_cast<std::atomic<Chunk*>*>(directory_.data())) {}

Nodes::~Nodes() {
  for (size_t i = 0; i < capacity() / chunkSlots; i++) delete chunks_[i].load();
}

void Nodes::reserve(Slot slot) {
  while (slot >= capacity()) {
    const uint64_t next = capacity();
    chunks_[next >> chunkBits].store(new Chunk(*this), std::memory_order_release);
    capacity_.store(next + chunkSlots, std::memory_order_release);
  }
  slots_.store(std::max(slots(), slot + 1), std::memory_order_relaxed);
}

void Nodes::filled(Slot slot) {
  if (slot % chunkSlots == chunkSlots - 1) chunkOf(slot).memory.enlarge();
}

uint32_t Nodes::levelOf(Slot slot) const {
  uint32_t level = 0;
  for (uint64_t hash = mix(slot); hash % M_ == 0 && level < levelMax; hash /= M_) level++;
  return level;
}

void Nodes::createUpper(Slot slot) {
  const size_t bytes = upperBytes(slot);
  Link*& upper = chunkOf(slot).upper[slot % chunkSlots];
  if (bytes == 0 || upper != nullptr) return;
  upper = new Link[bytes / sizeof(Link)]();
  upperBytes_.fetch_add(bytes, std::memory_order_relaxed);
}

}  // namespace vstore

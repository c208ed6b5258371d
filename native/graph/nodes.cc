/** Chunks: how they are laid out, made and given back. */
#include "graph/nodes.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "mix.h"
#include "resident.h"

namespace vstore {
namespace {

constexpr size_t hugePage = 2 << 20;
#ifdef MADV_HUGEPAGE
/** MADV_COLLAPSE, which older headers do not have. */
constexpr int collapse = 25;
#endif

size_t roundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

/** A short code begins at a cache line, to lie in as few as it can; for a long one that would waste too much. */
size_t alignment(size_t codeBytes) { return codeBytes < 4 * cacheLine ? cacheLine : alignof(Code); }

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

void Pages::enlargeUnused() {
#ifdef MADV_HUGEPAGE
  madvise(data_, bytes_, MADV_HUGEPAGE);
#endif
}

void Pages::map(int file, uint64_t offset, size_t bytes) {
  const int flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;
  void* place = mmap(data_, bytes, PROT_READ | PROT_WRITE, flags, file, static_cast<off_t>(offset));
  if (place == MAP_FAILED) throw std::bad_alloc();
}

/** In one step, as readers see it. Only Linux has it. */
bool Pages::moveTo(std::byte* place, size_t bytes) {
#ifdef __linux__
  if (mremap(data_, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED) return false;
  moved_ = bytes;
  return true;
#else
  (void)place, (void)bytes;
  return false;
#endif
}

Pages::~Pages() {
  if (moved_ < bytes_) munmap(data_ + moved_, bytes_ - moved_);
}

Nodes::Chunk::Chunk(const Nodes& of, size_t number)
    : memory(of.slotBytes() * chunkSlots + chunkSlots / 8 + of.upperBytes(number, chunkSlots)), codes(memory.data()) {
  links = reinterpret_cast<Link*>(codes + of.codesBytes(chunkSlots));
  lives = reinterpret_cast<Life*>(codes + of.regionBytes());
  plain = reinterpret_cast<std::atomic<uint64_t>*>(lives + chunkSlots);
  locks = reinterpret_cast<std::atomic<bool>*>(plain + chunkSlots / bitsOfWord);
  upperAt = reinterpret_cast<uint16_t*>(locks + chunkSlots);
  upper = reinterpret_cast<Link*>(upperAt + chunkSlots);
}

Nodes::Nodes(size_t codeBytes, uint32_t M)
    : M_(M),
      codeStride_(roundUp(codeBytes, alignment(codeBytes))),
      directory_(chunksMax * sizeof(std::atomic<Chunk*>)),
      chunks_(reinterpret_cast<std::atomic<Chunk*>*>(directory_.data())) {}

Nodes::~Nodes() {
  for (size_t i = 0; i < capacity() / chunkSlots; i++) delete chunks_[i].load();
}

size_t Nodes::upperBytes(size_t chunk, Slot slots) const {
  const auto first = static_cast<Slot>(chunk << chunkBits);
  size_t lists = 0;
  for (Slot i = 0; i < slots; i++) lists += levelOf(first + i);
  return lists * (1 + M_) * sizeof(Link);
}

size_t Nodes::residentBytes(size_t regionsMax) const {
  std::vector<size_t> mapped;
  for (size_t chunk = 0; chunk < capacity() / chunkSlots; chunk++) {
    if (isMapped(chunk)) mapped.push_back(chunk);
  }
  const size_t looked = std::min(mapped.size(), regionsMax);
  size_t resident = 0;
  for (size_t i = 0; i < looked; i++) {
    resident += residentOf(region(mapped[i * mapped.size() / looked]), regionBytes());
  }
  return looked == 0 ? 0 : resident / looked * mapped.size();
}

void Nodes::fetch(size_t chunk) { madvise(region(chunk), regionBytes(), MADV_WILLNEED); }

void Nodes::map(size_t chunk, int file, uint64_t offset) {
  Chunk& owner = *chunks_[chunk].load(std::memory_order_acquire);
  owner.memory.map(file, offset, regionBytes());
  if (!owner.isMapped.exchange(true)) mapped_.fetch_add(1);
}

void Nodes::reserve(Slot slot) {
  while (slot >= capacity()) {
    const uint64_t next = capacity();
    chunks_[next >> chunkBits].store(new Chunk(*this, next >> chunkBits), std::memory_order_release);
    capacity_.store(next + chunkSlots, std::memory_order_release);
  }
  for (Slot next = slots(); next <= slot; next++) {
    if (next % chunkSlots == 0) lists_ = 0;
    chunkOf(next).upperAt[next % chunkSlots] = lists_;
    lists_ = static_cast<uint16_t>(lists_ + levelOf(next));
  }
  slots_.store(std::max(slots(), slot + 1), std::memory_order_relaxed);
}

void Nodes::filled(Slot slot) {
  if (slot % chunkSlots == chunkSlots - 1 && !isMapped(slot >> chunkBits)) chunkOf(slot).memory.enlarge();
}

uint32_t Nodes::levelOf(Slot slot) const {
  uint32_t level = 0;
  for (uint64_t hash = mix(slot); hash % M_ == 0 && level < levelMax; hash /= M_) level++;
  return level;
}

}  // namespace vstore

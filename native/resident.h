/** How much of a mapping is in memory. */
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <system_error>
#include <vector>

namespace vstore {

/** Bytes of [begin, begin + bytes) that are in memory; it begins at a page. @throws std::system_error */
inline size_t residentOf(std::byte* begin, size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> flags((bytes + page - 1) / page);
#ifdef __APPLE__
  const int outcome = mincore(begin, bytes, reinterpret_cast<char*>(flags.data()));
#else
  const int outcome = mincore(begin, bytes, flags.data());
#endif
  if (outcome != 0) throw std::system_error(errno, std::generic_category(), "mincore");
  const auto isResident = [](unsigned char flag) { return flag & 1; };
  return static_cast<size_t>(std::count_if(flags.begin(), flags.end(), isResident)) * page;
}

}  // namespace vstore

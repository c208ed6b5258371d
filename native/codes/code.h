/** What the graph keeps of a vector (codes.h). */
#pragma once
#include <cstdint>

namespace vstore {

/** The head of a code; its components follow. */
struct Code {
  float scale;
  /** Of x. */
  float norm;
  /** ε / √dimensions, and what arithmetic adds. */
  float noise;
  /** x · centre / norm, under IP only. */
  float along;
  /** Of the row: equal rows have equal hashes. */
  uint32_t hash;

  template <class T>
  const T* components() const {
    return reinterpret_cast<const T*>(this + 1);
  }
  template <class T>
  T* components() {
    return reinterpret_cast<T*>(this + 1);
  }
};
static_assert(sizeof(Code) == 20, "a code of 108 components of a byte fills two cache lines");

}  // namespace vstore

/**
 * A graph in a file. Little-endian:
 *
 *   header   magic, format version, options, slots, entry, length, length of the centre, CRC-32 of all that
 *   centre   float32 components, none where it is the origin; their CRC-32
 *   blocks   of consecutive slots, about 4 MiB each; each ends with the CRC-32 of the rest of it
 *     kinds    one byte per slot: 1 a node with links, 2 a twin of one (twins.h), 0 when all that follows of it is zero
 *     codes    per slot: the head of the code, its components
 *     links    per slot: the head of the list of layer 0 (ListHead), 2 M links; the next twin + 1, or 0; the bridge
 *              + 1, or 0
 *     upper    per slot, for each layer that a hash of the slot gives it: the head of the list, M links
 *
 * The rotation of packed codes follows from the dimensions (codes/rotation.h): another one is another format version.
 * The file does not say which slots are alive: the collection knows. It is read in bulk, verified, and every link is
 * checked.
 */
#pragma once
#include <memory>
#include <string>

#include "graph/graph.h"

namespace vstore {

/** Nothing may be inserted meanwhile; all else goes on. @throws std::runtime_error, and leaves what was written */
void saveGraph(const Graph& graph, const std::string& path);

/** @throws std::runtime_error when it cannot be read, is damaged, or is of other options */
std::unique_ptr<Graph> loadGraph(const std::string& path, const GraphOptions& options);

}  // namespace vstore

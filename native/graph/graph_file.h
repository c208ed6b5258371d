/**
 * A graph in a file. Little-endian:
 *
 *   header   magic, format version, options, slots, entry, length, length of the centre, the largest norm and noise of
 *            a code that is no outlier, the norm beyond which codes are outliers, CRC-32 of all that; where there are
 *            whole chunks, zeros up to 64 KiB
 *   regions  of chunks of 16,384 slots, as they are in memory (nodes.h), the last one of fewer slots
 *     codes    per slot: the head of the code, its components, zeros up to the next code
 *     links    per slot: the head of the list of layer 0 (ListHead), 2 M links; the next twin + 1, or 0; the bridge
 *              + 1, or 0
 *   index    of the rest
 *     checksums  CRC-32 of each region
 *     hashes     per slot: of its row, 0 where it is no node
 *     upper      per slot, for each layer that a hash of the slot gives it: the head of the list, M links
 *     centre     float32 components, none where it is the origin
 *     kinds      one byte per slot: 0 none, 1 a node, 3 a twin of one (twins.h), 5 a node with twins; 8 more
 *                where it is an outlier (outliers.h)
 *     checksum   CRC-32 of the header and all these parts: it stands for the whole file
 *
 * A region of a whole chunk begins at a multiple of 64 KiB and is mapped, not read. So a graph can be searched once the
 * index is there. Regions are compared with their checksums afterwards (Graph::prove).
 *
 * The rotation of packed codes follows from the dimensions (codes/rotation.h): another one is another format version.
 * The file does not say which slots are alive: the collection knows.
 */
#pragma once
#include <memory>
#include <string>

#include "graph/graph.h"

namespace vstore {

/**
 * Nothing may be inserted meanwhile; all else goes on.
 *
 * @param maps leaves whole chunks in the file from then on, whose pages the system may take back
 * @throws std::runtime_error, and leaves what was written
 */
void saveGraph(Graph& graph, const std::string& path, bool maps);

/** @throws std::runtime_error when it cannot be read, is damaged, or is of other options */
std::unique_ptr<Graph> loadGraph(const std::string& path, const GraphOptions& options);

}  // namespace vstore

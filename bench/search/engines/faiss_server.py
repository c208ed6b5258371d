"""faiss behind a pipe: one JSON object a line in, one a line out. See faiss.ts. Named so that it is not itself what `import faiss` finds."""

import json
import sys
import time

try:
    import faiss
    import numpy
except ImportError as missing:
    faiss = None
    reason = f"{missing} (Debian: apt-get install python3-faiss)"

index = None
options = {}


def rows(file):
    """The vectors of a file; of length 1 under COSINE, which faiss does not know."""
    vectors = numpy.fromfile(file, dtype=numpy.float32).reshape(-1, options["dimensions"])
    if options["metric"] == "COSINE":
        faiss.normalize_L2(vectors)
    return vectors


def open_(given):
    if faiss is None:
        raise RuntimeError(reason)
    options.update(given)
    faiss.omp_set_num_threads(given["threads"])


def empty():
    metric = faiss.METRIC_L2 if options["metric"] == "L2" else faiss.METRIC_INNER_PRODUCT
    dimensions, links = options["dimensions"], options["M"]
    if options["quantization"] == "f32":
        return faiss.IndexHNSWFlat(dimensions, links, metric)
    scalar = faiss.ScalarQuantizer
    kind = scalar.QT_8bit if options["quantization"] == "sq8" else scalar.QT_fp16
    return faiss.IndexHNSWSQ(dimensions, kind, links, metric)


def build(given):
    global index
    vectors = rows(given["file"])
    index = empty()
    index.hnsw.efConstruction = options["efConstruction"]
    index.train(vectors)
    index.add(vectors)


def load(given):
    global index
    index = faiss.read_index(given["file"])


def each(given):
    vectors = rows(given["file"])
    # One query is work for one thread; waking the others would only cost time.
    faiss.omp_set_num_threads(1)
    found, latencies = [], []
    start = time.perf_counter()
    for i in range(len(vectors)):
        asked = time.perf_counter()
        found.append(index.search(vectors[i : i + 1], given["k"])[1])
        latencies.append((time.perf_counter() - asked) * 1000)
    seconds = time.perf_counter() - start
    numpy.concatenate(found).astype(numpy.uint32).tofile(given["found"])
    return {"seconds": seconds, "latenciesMs": latencies}


def filtered(given):
    """As `each`, but a query finds only what its bitmap has. Bitmaps become selectors beforehand, once for all queries."""
    vectors = rows(given["file"])
    faiss.omp_set_num_threads(1)
    bitmaps = numpy.fromfile(given["bitmaps"], dtype=numpy.uint8).reshape(-1, (index.ntotal + 7) // 8)
    selectors = [faiss.IDSelectorBitmap(index.ntotal, faiss.swig_ptr(bits)) for bits in bitmaps]
    settings = [faiss.SearchParametersHNSW(sel=each, efSearch=index.hnsw.efSearch) for each in selectors]
    found, latencies = [], []
    start = time.perf_counter()
    for i, which in enumerate(given["which"]):
        asked = time.perf_counter()
        found.append(index.search(vectors[i : i + 1], given["k"], params=settings[which])[1])
        latencies.append((time.perf_counter() - asked) * 1000)
    seconds = time.perf_counter() - start
    numpy.concatenate(found).astype(numpy.uint32).tofile(given["found"])
    return {"seconds": seconds, "latenciesMs": latencies}


def flood(given):
    vectors = rows(given["file"])
    faiss.omp_set_num_threads(options["threads"])
    start = time.perf_counter()
    found = index.search(vectors, given["k"])[1]
    seconds = time.perf_counter() - start
    found.astype(numpy.uint32).tofile(given["found"])
    return {"seconds": seconds, "latenciesMs": []}


calls = {
    "open": open_,
    "build": build,
    "save": lambda given: faiss.write_index(index, given["file"]),
    "load": load,
    "ef": lambda given: setattr(index.hnsw, "efSearch", given["ef"]),
    "each": each,
    "filtered": filtered,
    "flood": flood,
}

for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = calls[request["call"]](request) or {}
    except Exception as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)

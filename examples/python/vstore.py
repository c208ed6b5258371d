"""vstore from Python: numpy arrays in and out, over the redis-py connection that an application has. One file, to be copied.

    import numpy, redis
    from vstore import Vstore

    films = Vstore(redis.Redis(), "films")
    films.create(dim=384)
    films.insert(["film:1", "film:2"], numpy.random.rand(2, 384), [{"year": 1979}, {"year": 2001}])
    for hit in films.search(numpy.random.rand(384), count=5, filter=".year > 2000"):
        print(hit.key, hit.distance, hit.attributes)
"""
import json
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence

import numpy

#: Vectors of one MINSERT.
BATCH = 500


class Hit(NamedTuple):
    key: str
    distance: float
    attributes: Optional[Dict[str, Any]]


class Vstore:
    """A collection. `connection` is a redis.Redis without decode_responses, as vectors are bytes."""

    def __init__(self, connection, collection: str):
        if connection.get_encoder().decode_responses:
            raise ValueError("the connection must not have decode_responses: vectors are bytes")
        self._connection = connection
        self._collection = collection

    def create(self, dim: int, metric: str = "COSINE", exist_ok: bool = True) -> None:
        self._call("CREATE", "DIM", dim, "METRIC", metric, *(["NX"] if exist_ok else []))

    def insert(self, keys: Sequence[str], vectors, attributes: Optional[Sequence[Dict[str, Any]]] = None) -> int:
        """Inserts or replaces. `vectors` has shape (keys, dim). Returns the number of new keys."""
        rows = _fp32(vectors).reshape(len(keys), -1)
        inserted = 0
        for start in range(0, len(keys), BATCH):
            part = slice(start, start + BATCH)
            texts = [] if attributes is None else ["SETATTR", *map(json.dumps, attributes[part])]
            batch = keys[part]
            inserted += self._call("MINSERT", len(batch), *batch, "FP32", rows[part].tobytes(), *texts)
        return inserted

    def search(self, vector=None, *, key: Optional[str] = None, count: int = 10, ef: Optional[int] = None,
               filter: Optional[str] = None, exact: bool = False) -> List[Hit]:
        """The nearest vectors to a vector, or to that of a key; nearest first."""
        query = ["KEY", key] if vector is None else ["FP32", _fp32(vector).tobytes()]
        options = ["COUNT", count]
        options += [] if ef is None else ["EF", ef]
        options += [] if filter is None else ["FILTER", filter]
        options += ["EXACT"] if exact else []
        reply = self._call("SEARCH", *query, *options, "WITHDISTANCES", "WITHATTRS")
        flat = [each for pair in reply for each in pair] if reply and isinstance(reply[0], (list, tuple)) else reply
        return [_hit(name, *details) for name, details in zip(flat[::2], flat[1::2])]

    def get(self, key: str) -> Optional[numpy.ndarray]:
        """The vector of a key, shape (dim,) of float32; None when there is no such key."""
        blob = self._call("GET", key, "RAW")
        return None if blob is None else numpy.frombuffer(blob, dtype="<f4")

    def delete(self, *keys: str) -> int:
        return self._call("DEL", *keys)

    def keys(self, match: str = "*") -> Iterator[str]:
        cursor = b"0"
        while True:
            cursor, found = self._call("SCAN", cursor, "MATCH", match, "COUNT", 1000)
            yield from (key.decode() for key in found)
            if cursor == b"0":
                return

    def __len__(self) -> int:
        return self._call("CARD")

    def _call(self, command: str, *words):
        return self._connection.execute_command(f"VSTORE.{command}", self._collection, *words)


def _fp32(vectors) -> numpy.ndarray:
    return numpy.ascontiguousarray(vectors, dtype="<f4")


def _hit(key: bytes, distance, attributes: Optional[bytes]) -> Hit:
    return Hit(key.decode(), float(distance), None if attributes is None else json.loads(attributes))

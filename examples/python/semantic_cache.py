"""A semantic cache of vstore from Python, over the redis-py connection that an application has. One file, to be copied.

The shape is that of RedisVL's SemanticCache (check, store), and scope, expiry and thresholds are the server's.

    import redis
    from semantic_cache import SemanticCache

    cache = SemanticCache(redis.Redis(), "answers", embed=model.encode)
    cache.create(dim=384, scope=["tenant"], within=0.1, ttl=3600)
    answer = cache.check("Capital of France?", scope={"tenant": "acme"})
    if answer is None:
        cache.store("Capital of France?", ask_the_model(), scope={"tenant": "acme"})
"""
import struct
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

#: Entries that one CACHE.DEL by tag or scope deletes at most.
DELETED_MAX = 2500


class Answer(NamedTuple):
    #: "exact", "hit", or "verify": farther away than the entry answers, and within `verify`
    status: str
    id: str
    distance: float
    #: milliseconds since it was stored
    age: int
    value: bytes


class SemanticCache:
    """`connection` is a redis.Redis without decode_responses; `embed` gives the vector of a text."""

    def __init__(self, connection, name: str, embed: Callable[[str], Sequence[float]]):
        if connection.get_encoder().decode_responses:
            raise ValueError("the connection must not have decode_responses: vectors are bytes")
        self._connection = connection
        self._name = name
        self._embed = embed

    def create(
        self,
        dim: int,
        scope: Sequence[str] = (),
        within: Optional[float] = None,
        ttl: Optional[int] = None,
        error_rate: Optional[float] = None,
    ) -> None:
        """Creates the cache; one that exists already is left as it is."""
        fields = ["SCOPE", len(scope), *scope] if scope else []
        options = [*_after("WITHIN", within), *_after("ERRORRATE", error_rate), *_after("EX", ttl)]
        try:
            self._call("CREATE", "DIM", dim, *fields, *options)
        except Exception as error:
            if "COLLECTIONEXISTS" not in str(error):
                raise

    def check(
        self,
        prompt: str,
        scope: Optional[Dict[str, str]] = None,
        within: Optional[float] = None,
        verify: Optional[float] = None,
    ) -> Optional[Answer]:
        """The answer of the same question, or of the nearest one that is near enough; None for a miss."""
        limits = [*_after("WITHIN", within), *_after("VERIFY", verify)]
        reply = self._call("GET", *self._vector(prompt), "PROMPT", prompt, *_scope(scope), *limits)
        if reply is None:
            return None
        pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2])
        found = {name.decode(): value for name, value in pairs}
        return Answer(
            found["status"].decode(), found["id"].decode(), float(found["distance"]), int(found["age"]), found["value"]
        )

    def store(
        self,
        prompt: str,
        response,
        scope: Optional[Dict[str, str]] = None,
        tags: Sequence[str] = (),
        ttl: Optional[int] = None,
        within: Optional[float] = None,
        cost: Optional[int] = None,
    ) -> str:
        """Stores an answer; `cost` is what it took to make, in milliseconds. Returns the id of the entry."""
        labels = ["TAGS", len(tags), *tags] if tags else []
        options = [*_after("EX", ttl), *_after("WITHIN", within), *_after("COST", cost)]
        words = [*self._vector(prompt), "VALUE", response, "PROMPT", prompt, *_scope(scope), *labels, *options]
        return self._call("SET", *words).decode()

    def feedback(self, answer: Answer, right: bool) -> Optional[float]:
        """Says whether an answer was right. Returns the distance up to which its entry answers now."""
        verdict = "HIT" if right else "FALSE"
        reach = self._call("FEEDBACK", answer.id, verdict, "DISTANCE", repr(answer.distance))
        return None if reach is None else float(reach)

    def drop(
        self, ids: Sequence[str] = (), tag: Optional[str] = None, scope: Optional[Dict[str, str]] = None
    ) -> int:
        """Deletes entries by their ids, by a tag, or by a scope or a part of it. Returns how many."""
        if ids:
            return self._call("DEL", "ID", *ids)
        words = ["TAG", tag] if tag is not None else _scope(scope)
        total = 0
        while True:
            deleted = self._call("DEL", *words)
            total += deleted
            if deleted < DELETED_MAX:
                return total

    def _vector(self, prompt: str) -> List:
        vector = [float(component) for component in self._embed(prompt)]
        return ["FP32", struct.pack(f"<{len(vector)}f", *vector)]

    def _call(self, command: str, *words):
        return self._connection.execute_command(f"VSTORE.CACHE.{command}", self._name, *words)


def _after(token: str, value) -> List:
    return [] if value is None else [token, value]


def _scope(scope: Optional[Dict[str, str]]) -> List:
    parts = [part for pair in (scope or {}).items() for part in pair]
    return ["SCOPE", len(parts) // 2, *parts] if parts else []

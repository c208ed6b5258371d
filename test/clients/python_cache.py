"""examples/python/semantic_cache.py against the server whose port is the argument."""
import sys
import unittest

import redis
from semantic_cache import SemanticCache

connection = redis.Redis(port=int(sys.argv.pop()))
acme = {"tenant": "acme"}


def letters(text):
    return [0.01 + text.lower().count(chr(97 + i)) for i in range(26)]


class Example(unittest.TestCase):
    def setUp(self):
        self.cache = SemanticCache(connection, "answers", letters)
        self.cache.create(dim=26, scope=["tenant"], within=0.02, ttl=1000)
        self.cache.create(dim=26, scope=["tenant"])

    def tearDown(self):
        connection.execute_command("VSTORE.DROP", "answers")

    def test_check_and_store(self):
        self.assertIsNone(self.cache.check("capital of france", scope=acme))
        id = self.cache.store("capital of france", "Paris", scope=acme, tags=["geo"], cost=10)
        exact = self.cache.check(" capital of  france", scope=acme)
        self.assertEqual((exact.status, exact.id, exact.value), ("exact", id, b"Paris"))
        self.assertEqual(self.cache.check("capital of frances", scope=acme).status, "hit")
        self.assertIsNone(self.cache.check("capital of france", scope={"tenant": "globex"}))
        with self.assertRaisesRegex(redis.ResponseError, "'tenant' is missing"):
            self.cache.check("capital of france")

    def test_feedback(self):
        self.cache.store("capital of france", "Paris", scope=acme)
        near = self.cache.check("capital of frances", scope=acme)
        self.assertLess(self.cache.feedback(near, right=False), near.distance)
        self.assertIsNone(self.cache.check("capital of frances", scope=acme))

    def test_drop(self):
        self.cache.store("one", "1", scope=acme, tags=["n"])
        self.cache.store("two", "2", scope=acme, tags=["n"])
        id = self.cache.store("three", "3", scope=acme)
        self.assertEqual(self.cache.drop(tag="n"), 2)
        self.assertEqual(self.cache.drop(ids=[id]), 1)
        self.cache.store("four", "4", scope=acme)
        self.assertEqual(self.cache.drop(scope=acme), 1)


unittest.main()

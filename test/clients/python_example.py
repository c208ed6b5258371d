"""examples/python/vstore.py against the server whose port is the argument."""
import sys
import unittest

import numpy
import redis
from vstore import Hit, Vstore

connection = redis.Redis(port=int(sys.argv.pop()))


class Example(unittest.TestCase):
    def setUp(self):
        self.films = Vstore(connection, "films")
        self.films.create(dim=2, metric="L2")
        vectors = numpy.array([[0, 0], [3, 4], [0.1, 0]])
        self.films.insert(["a", "b", "ü"], vectors, [{"year": 1979}, {"year": 2001}, {"year": 2010}])

    def tearDown(self):
        connection.execute_command("VSTORE.DROP", "films")

    def test_search(self):
        hits = self.films.search([0, 0], count=2)
        self.assertEqual([hit.key for hit in hits], ["a", "ü"])
        self.assertAlmostEqual(hits[1].distance, 0.1, places=6)
        self.assertEqual(self.films.search(key="b", count=1), [Hit("b", 0.0, {"year": 2001})])
        self.assertEqual([hit.key for hit in self.films.search([0, 0], filter=".year > 2000", exact=True)], ["ü", "b"])

    def test_vectors_come_back_to_the_bit(self):
        vector = numpy.array([0.1, -1e-40], dtype=numpy.float32)
        self.assertEqual(self.films.insert(["tiny"], vector), 1)
        self.assertEqual(self.films.get("tiny").tobytes(), vector.tobytes())
        self.assertIsNone(self.films.get("none"))

    def test_many(self):
        keys = [f"k{i}" for i in range(1200)]
        self.assertEqual(self.films.insert(keys, numpy.ones((1200, 2))), 1200)
        self.assertEqual(set(self.films.keys("k*")), set(keys))
        self.assertEqual(len(self.films), 1203)
        self.assertEqual(self.films.delete("k0", "none"), 1)

    def test_a_decoding_connection_is_refused(self):
        with self.assertRaisesRegex(ValueError, "decode_responses"):
            Vstore(redis.Redis(decode_responses=True), "films")


unittest.main()

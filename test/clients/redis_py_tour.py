"""redis-py: the ordinary tour of the commands, as a Python program makes it.

Usage: redis_py_tour.py PORT. Run by test/70-clients/07.redis-py.test.ts, which starts the server.
"""

import json
import struct
import sys
import unittest

import redis

PORT = int(sys.argv.pop())


def fp32(*components):
    return struct.pack(f"<{len(components)}f", *components)


class Tour(unittest.TestCase):
    def setUp(self):
        self.redis = redis.Redis(host="127.0.0.1", port=PORT)
        self.addCleanup(self.redis.close)
        self.call("CREATE", "docs", "DIM", 2, "METRIC", "L2", "NX")
        self.addCleanup(self.call, "DROP", "docs")
        vectors = fp32(9, 0, 1, 0, 3, 4)
        attributes = json.dumps({"n": 1}), "", "{}"
        inserted = self.call("MINSERT", "docs", 3, "far", "near", "mid", "FP32", vectors, "SETATTR", *attributes)
        self.assertEqual(inserted, 3)

    def call(self, name, *args):
        return self.redis.execute_command(f"VSTORE.{name}", *args)

    def test_insert_and_get(self):
        self.assertEqual(self.call("INSERT", "docs", "new", "FP32", fp32(0.25, -1)), 1)
        self.assertEqual(self.call("INSERT", "docs", "new", "VALUES", 2, 0.5, -1e-3), 0)
        self.assertIsNone(self.call("INSERT", "docs", "new", "FP32", fp32(0, 0), "NX"))
        components = [float(text) for text in self.call("GET", "docs", "new")]
        self.assertEqual(fp32(*components), fp32(0.5, -1e-3))
        self.assertEqual(self.call("GET", "docs", "new", "RAW"), fp32(0.5, -1e-3))
        self.assertEqual(self.call("MGET", "docs", "nobody", "mid"), [None, [b"3", b"4"]])

    def test_create_and_list(self):
        self.assertIsNone(self.call("CREATE", "docs", "DIM", 3, "NX"))
        self.assertEqual(self.call("CREATE", "other", "DIM", 3), b"OK")
        self.assertEqual(self.call("LIST"), [b"docs", b"other"])
        self.assertEqual(self.call("DROP", "other"), b"OK")

    def test_search(self):
        query = ("SEARCH", "docs", "FP32", fp32(0, 0))
        self.assertEqual(self.call(*query), [b"near", b"mid", b"far"])
        self.assertEqual(self.call(*query, "COUNT", 1, "EF", 20), [b"near"])
        self.assertEqual(self.call(*query, "EXACT", "WITHIN", 5), [b"near", b"mid"])
        self.assertEqual(self.call(*query, "WITHDISTANCES"), [b"near", b"1", b"mid", b"5", b"far", b"9"])
        self.assertEqual(self.call(*query, "WITHATTRS"), [b"near", None, b"mid", b"{}", b"far", b'{"n": 1}'])
        both = self.call(*query, "WITHDISTANCES", "WITHATTRS", "COUNT", 2)
        self.assertEqual(both, [b"near", [b"1", None], b"mid", [b"5", b"{}"]])
        self.assertEqual(self.call("SEARCH", "docs", "KEY", "mid", "COUNT", 2), [b"mid", b"near"])
        self.assertEqual(self.call("SEARCH", "docs", "VALUES", 2, 8, 0.5, "COUNT", 1), [b"far"])

    def test_attributes(self):
        self.assertEqual(json.loads(self.call("GETATTR", "docs", "far")), {"n": 1})
        self.assertEqual(self.call("SETATTR", "docs", "far", '{"é": null}'), 1)
        self.assertEqual(self.call("GETATTR", "docs", "far").decode(), '{"é": null}')
        self.assertEqual(self.call("SETATTR", "docs", "nobody", "{}"), 0)
        self.assertIsNone(self.call("GETATTR", "docs", "near"))

    def test_scan_exists_and_delete(self):
        cursor, keys = self.call("SCAN", "docs", 0)
        self.assertEqual((cursor, sorted(keys)), (b"0", [b"far", b"mid", b"near"]))
        cursor, keys = self.call("SCAN", "docs", 0, "MATCH", "*ar", "COUNT", 100)
        self.assertEqual((cursor, sorted(keys)), (b"0", [b"far", b"near"]))
        self.assertEqual(self.call("EXISTS", "docs", "far", "nobody"), 1)
        self.assertEqual(self.call("DEL", "docs", "far", "nobody"), 1)
        self.assertEqual(self.call("CARD", "docs"), 2)

    def test_binary_keys(self):
        key = b"\x00\r\n\xff"
        self.call("INSERT", "docs", key, "FP32", fp32(7, 7))
        self.assertEqual(self.call("SEARCH", "docs", "KEY", key, "COUNT", 1), [key])

    def test_facts(self):
        facts = self.call("INFO", "docs")
        facts = dict(zip(facts[::2], facts[1::2]))
        self.assertEqual((facts[b"dimensions"], facts[b"metric"], facts[b"vectors"]), (2, b"L2", 3))

    def test_build_and_checkpoint(self):
        self.assertRegex(self.call("BUILD", "docs", "WAIT"), rb"^OK \d+ slots added to the index$")
        self.assertRegex(self.call("CHECKPOINT", "docs"), rb"^OK 3 slots, log covered up to \d+-\d+$")

    def test_decoded_responses(self):
        with redis.Redis(host="127.0.0.1", port=PORT, decode_responses=True) as text:
            self.assertEqual(text.execute_command("VSTORE.SEARCH", "docs", "KEY", "mid", "COUNT", 1), ["mid"])

    def test_errors(self):
        # redis-py takes the code ERR off the message, and leaves every other one.
        for message, *command in [
            (r"^'vector' must be 8 bytes \(2 x float32\), got 4$", "INSERT", "docs", "k", "FP32", fp32(1)),
            (r"^'vector' must be finite, component 2 is NaN$", "SEARCH", "docs", "FP32", fp32(1, float("nan"))),
            (r"^wrong number of arguments for 'VSTORE.GET' command$", "GET", "docs"),
            (r"^NOCOLLECTION .*'nobody'", "CARD", "nobody"),
            (r"^NOKEY 'KEY' must be a key of the collection, got 'x'$", "SEARCH", "docs", "KEY", "x"),
            (r"^syntax error in FILTER expression at position 1: ", "SEARCH", "docs", "KEY", "mid", "FILTER", "x"),
        ]:
            with self.subTest(command), self.assertRaisesRegex(redis.ResponseError, message):
                self.call(*command)
        self.assertEqual(self.call("CARD", "docs"), 3)

    def test_transaction(self):
        with self.redis.pipeline(transaction=True) as pipeline:
            pipeline.hset("doc:1", "title", "one")
            pipeline.execute_command("VSTORE.INSERT", "docs", "doc:1", "FP32", fp32(5, 6))
            fields, queued = pipeline.execute()
        self.addCleanup(self.redis.delete, "doc:1")
        self.assertEqual(fields, 1)
        self.assertRegex(queued, rb"^QUEUED \d+-\d+$")
        self.assertEqual(self.call("GET", "docs", "doc:1"), [b"5", b"6"])

    def test_pipeline(self):
        with self.redis.pipeline(transaction=False) as pipeline:
            for i in range(100):
                pipeline.execute_command("VSTORE.INSERT", "docs", f"k{i % 10}", "VALUES", 2, i, i)
            pipeline.execute_command("VSTORE.CARD", "docs", "too many")
            pipeline.execute_command("VSTORE.CARD", "docs")
            replies = pipeline.execute(raise_on_error=False)
        self.assertEqual(replies[:100], [1] * 10 + [0] * 90)
        self.assertIsInstance(replies[100], redis.ResponseError)
        self.assertEqual(replies[101], 13)

    def test_script(self):
        insert = self.redis.register_script("return redis.call('VSTORE.INSERT', KEYS[1], ARGV[1], 'FP32', ARGV[2])")
        self.assertRegex(insert(keys=["docs"], args=["scripted", fp32(8, 8)]), rb"^QUEUED \d+-\d+$")
        self.assertEqual(self.call("SEARCH", "docs", "VALUES", 2, 8, 8, "COUNT", 1), [b"scripted"])


if __name__ == "__main__":
    unittest.main()

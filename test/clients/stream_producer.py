"""A stream client's writes from redis-py: what is malformed is reported and stops nothing. Run as: stream_producer.py <port>"""

import struct
import sys
import unittest

import redis

LOG = "vstore:{docs}:log"
ERRORS = "vstore:{docs}:errors"
ANSWERS = "vstore:reply:docs"
ERRORS_MAX = 1_000  # entries; Redis trims whole nodes of 100
PATIENCE_MS = 10_000

client = redis.Redis(port=int(sys.argv.pop(1)))


def fp32(*components):
    return struct.pack(f"<{len(components)}f", *components)


def entry(command, *arguments, **fields):
    return {"cmd": command, **fields, **{str(i): argument for i, argument in enumerate(arguments)}}


def insert(key, *components, **fields):
    return client.xadd(LOG, entry("INSERT", "docs", key, "FP32", fp32(*components), **fields))


def wait_for(stream, request):
    """The fields of the entry in `stream` that is about the request."""
    seen = "0"
    while True:
        replies = client.xread({stream: seen}, block=PATIENCE_MS)
        if not replies:
            raise AssertionError(f"nothing about {request} in {stream}")
        for seen, fields in replies[0][1]:
            if fields[b"req"] == request:
                return fields


NOT_READ = {
    "no command": {"0": "docs", "1": "a"},
    "a command that is not first": {"0": "docs", "cmd": "DEL"},
    "an endless command": {"cmd": "X" * 100_000, "0": "docs"},
    "arguments with a gap": {"cmd": "DEL", "0": "docs", "2": "a"},
    "arguments in another order": {"cmd": "DEL", "1": "a", "0": "docs"},
    "a field of another name": {"cmd": "DEL", "key": "a"},
    "a reply that comes last": {"cmd": "DEL", "0": "docs", "1": "a", "reply": ANSWERS},
    "a reply that is a key of vstore's own": {"cmd": "DEL", "reply": LOG, "0": "docs", "1": "a"},
    "a reply to a key of an application": {"cmd": "DEL", "reply": "orders", "0": "docs", "1": "a"},
    "bytes": {b"\xff\x00": b"\xff\xfe"},
}
REFUSED = {
    "an unknown command": entry("NONSENSE", "docs"),
    "a command in lower case": entry("del", "docs", "a"),
    "a command that only reads": entry("GET", "docs", "a"),
    "another collection": entry("DEL", "other", "a"),
    "no arguments": entry("INSERT"),
    "too many arguments": entry("DEL", "docs", *("",) * 3),
    "a vector of another dimension": entry("INSERT", "docs", "a", "FP32", fp32(1)),
    "a vector that is not finite": entry("INSERT", "docs", "a", "FP32", fp32(1, float("nan"))),
    "attributes that are no JSON": entry("INSERT", "docs", "a", "FP32", fp32(1, 2), "SETATTR", "{"),
    "a key that is too long": entry("INSERT", "docs", "a" * 1_025, "FP32", fp32(1, 2)),
}


class StreamProducer(unittest.TestCase):
    def setUp(self):
        client.execute_command("VSTORE.CREATE", "docs", "DIM", 2, "METRIC", "L2")

    def tearDown(self):
        client.execute_command("VSTORE.DROP", "docs")
        client.delete(ANSWERS)

    def assert_log_goes_on(self):
        answer = wait_for(ANSWERS, insert("next", 1, 2, reply=ANSWERS))
        self.assertIn(answer[b"ok"], (b":1\r\n", b":0\r\n"))

    def test_insert_with_and_without_reply(self):
        insert("a", 1, 2)
        self.assertEqual(wait_for(ANSWERS, insert("b", 3, 4, reply=ANSWERS))[b"ok"], b":1\r\n")
        vectors = client.execute_command("VSTORE.MGET", "docs", "a", "b")
        self.assertEqual(vectors, [[b"1", b"2"], [b"3", b"4"]])
        self.assertEqual(client.xlen(ERRORS), 0)

    def test_entries_that_cannot_be_read(self):
        for what, fields in NOT_READ.items():
            with self.subTest(what):
                error = wait_for(ERRORS, client.xadd(LOG, fields))
                self.assertTrue(error[b"error"].startswith(b"ERR "), error)
                self.assertLess(sum(map(len, error.values())), 400)
                self.assert_log_goes_on()

    def test_entries_that_are_refused(self):
        for what, fields in REFUSED.items():
            with self.subTest(what):
                error = wait_for(ERRORS, client.xadd(LOG, fields))
                self.assertEqual(error[b"cmd"], fields["cmd"].encode())
                self.assertTrue(error[b"error"].startswith(b"ERR "), error)
                self.assert_log_goes_on()

    def test_entries_that_are_refused_with_reply(self):
        for what, fields in REFUSED.items():
            with self.subTest(what):
                with_reply = {"cmd": fields["cmd"], "reply": ANSWERS, **fields}
                answer = wait_for(ANSWERS, client.xadd(LOG, with_reply))
                self.assertTrue(answer[b"err"].startswith(b"-ERR "), answer)
                self.assert_log_goes_on()
        self.assertEqual(client.xlen(ERRORS), 0)

    def test_errors_are_bounded(self):
        pipeline = client.pipeline(transaction=False)
        for i in range(3 * ERRORS_MAX):
            pipeline.xadd(LOG, {"nonsense": i})
        last = pipeline.execute()[-1]
        self.assertTrue(wait_for(ERRORS, last)[b"error"])
        self.assertLessEqual(client.xlen(ERRORS), ERRORS_MAX + 100)
        self.assert_log_goes_on()
        self.assertEqual(client.execute_command("VSTORE.CARD", "docs"), 1)


if __name__ == "__main__":
    unittest.main()

import os
import struct

import redis

client = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"), decode_responses=True)
ANSWERS = "vstore:reply:tones"  # answers go to streams of this prefix only
client.execute_command("VSTORE.CREATE", "tones", "DIM", 3, "METRIC", "L2", "NX")


def insert(key, *components, reply=None):
    """Appends to the log what the module would append, and answers the entry's id."""
    arguments = ["tones", key, "FP32", struct.pack(f"<{len(components)}f", *components)]
    waiter = {"reply": reply} if reply else {}
    entry = {"cmd": "INSERT", **waiter, **{str(i): argument for i, argument in enumerate(arguments)}}
    return client.xadd("vstore:{tones}:log", entry)


def answer(stream, request):
    """Waits for the answer to one request: ok or err, and one RESP3 value."""
    seen = "0"
    while True:
        for _, entries in client.xread({stream: seen}, block=5000):
            for seen, fields in entries:
                if fields["req"] == request:
                    return fields


insert("ruby", 0.875, 0.0625, 0.375)  # does not wait
print(answer(ANSWERS, insert("jade", 0, 0.625, 0.5, reply=ANSWERS)))
print(answer(ANSWERS, insert("mist", 0.75, 0.75, reply=ANSWERS)))

insert("fog", 0.5)  # no client waits for the refusal: it is in the errors stream
(_, [(_, refused)]), = client.xread({"vstore:{tones}:errors": "0"}, block=5000)
print(refused["cmd"], refused["error"])
print(client.execute_command("VSTORE.MGET", "tones", "ruby", "jade"))

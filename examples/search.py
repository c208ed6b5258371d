import os
import struct

import redis

client = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379"), decode_responses=True)


def fp32(*components):
    return struct.pack(f"<{len(components)}f", *components)


client.execute_command("VSTORE.CREATE", "colours", "DIM", 3, "METRIC", "L2", "NX")
keys = ["red", "orange", "blue"]
vectors = fp32(1, 0, 0, 1, 0.5, 0, 0, 0, 1)
client.execute_command("VSTORE.MINSERT", "colours", len(keys), *keys, "FP32", vectors)

query = fp32(0.9, 0.2, 0)
print(client.execute_command("VSTORE.SEARCH", "colours", "FP32", query, "COUNT", 2, "WITHDISTANCES", "WITHATTRS"))

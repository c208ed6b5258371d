"""redis-py on a Redis Cluster: its RedisCluster finds the node of a collection by the key of the command.

Usage: redis_py_cluster.py PORT COLLECTION... Run by test/87-cluster/01.nodes.test.ts, which starts the cluster and has
made the collections, on several nodes.
"""

import struct
import sys

from redis.cluster import RedisCluster


def fp32(*components):
    return struct.pack(f"<{len(components)}f", *components)


port, names = int(sys.argv[1]), sys.argv[2:]
redis = RedisCluster(host="127.0.0.1", port=port)
for name in names:
    assert redis.execute_command("VSTORE.INSERT", name, "by python", "FP32", fp32(70, 70)) == 1
    found = redis.execute_command("VSTORE.SEARCH", name, "FP32", fp32(70, 70), "COUNT", 1)
    assert found == [b"by python"], found
    assert redis.execute_command("VSTORE.DEL", name, "by python") == 1
# A command without a collection goes to the nodes that it is sent to.
lists = redis.execute_command("VSTORE.LIST", target_nodes=RedisCluster.PRIMARIES)
listed = {name.decode() for each in lists.values() for name in each}
assert set(names) <= listed, listed
redis.close()
print("OK")

/** A Redis that is a node of a cluster, whose keys do not lie together. */
import { expect, test } from "vitest";
import { eachTestOnStage } from "../harness/stage.ts";

const stage = eachTestOnStage({ args: ["--cluster-enabled", "yes"] });

test("a sidecar does not serve on a node of a cluster, and says why", async () => {
  const sidecar = stage.join();
  await sidecar.waitLog("this Redis is a node of a cluster");
  expect(sidecar.stdout).not.toContain("vstore ready");
  expect(await stage.redis.call("COMMAND", "COUNT")).toBeGreaterThan(0);
});

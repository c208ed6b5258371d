/** A Redis that is a node of a cluster without slots: vstore's own keys have no place there. */
import { expect, test } from "vitest";
import { eachTestOnStage } from "../harness/stage.ts";

const stage = eachTestOnStage({ args: ["--cluster-enabled", "yes"] });

test("a sidecar does not serve on a node of a cluster that has no slots, and says why", async () => {
  const sidecar = stage.join();
  await sidecar.waitLog("this node of the cluster has no slots");
  expect(sidecar.stdout).not.toContain("vstore ready");
  expect(await stage.redis.call("COMMAND", "COUNT")).toBeGreaterThan(0);
});

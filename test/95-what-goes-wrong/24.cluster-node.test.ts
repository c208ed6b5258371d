/** Nodes of a cluster on which a sidecar does not serve. */
import { expect, test } from "vitest";
import { isServerSince } from "../../harness/server-program.ts";
import { eachTestOnStage } from "../harness/stage.ts";

const stage = eachTestOnStage({ args: ["--cluster-enabled", "yes"] });

const keepsSlotsApart = isServerSince(7, 4);

test("a sidecar does not serve on a node without slots, nor on one that keeps them apart, and says why", async () => {
  const sidecar = stage.join();
  await sidecar.waitLog(
    keepsSlotsApart ? "newer ones keep slots apart" : "this node of the cluster has no slots",
  );
  expect(sidecar.stdout).not.toContain("vstore ready");
  expect(await stage.redis.call("COMMAND", "COUNT")).toBeGreaterThan(0);
});

/** What of a cluster this Redis is, and which names vstore's own keys have there. */
import type { Redis } from "ioredis";
import { codeOf } from "./error-code.ts";
import { setNodeTag } from "./keys.ts";
import { infoField, isClusterNode } from "./server.ts";

/** Must come before every use of the names. @throws where this node of a cluster has no slot for them */
export async function chooseNames(redis: Redis): Promise<void> {
  setNodeTag((await isClusterNode(redis)) ? String(await redis.call("VSTORE.NODE")) : "");
}

/** The same where no sidecar is to be asked for: of the names that one uses already. */
export async function readNames(redis: Redis): Promise<void> {
  setNodeTag(infoField(await redis.info("vstore"), "vstore_tag"));
}

/** Whether a command was refused because the slot of its key is of another node, or on its way there. */
export function isElsewhere(error: unknown): boolean {
  return ["MOVED", "ASK", "ELSEWHERE"].includes(codeOf(error) ?? "");
}

/** For commands about collections of which some may have moved away. */
export function ignoreElsewhere(error: unknown): undefined {
  if (!isElsewhere(error)) throw error;
}

/** `vstore promote`: a follower takes the lead while clients go on. */

import { promote } from "../bridge/client/promote.ts";
import { exitCodes, UseError } from "./exit.ts";
import { settings } from "./settings.ts";

export async function runPromote({ redisUrl }: { redisUrl: string }): Promise<number> {
  const url = settings.redis_url.schema.safeParse(redisUrl);
  if (!url.success) throw new UseError(`--redis-url ${url.error.issues[0]!.message}`);
  const leader = await promote(redisUrl);
  console.log(`handed over: the sidecar ${leader} leads now`);
  return exitCodes.done;
}

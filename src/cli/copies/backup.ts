/** `vstore backup <data-dir> <target-dir>`: a consistent copy, also while the sidecar serves. */

import { requestCheckpoint } from "../../bridge/client/request-checkpoint.ts";
import { publicUrl } from "../../bridge/redis/address.ts";
import { backup } from "../../engine/tools/backup.ts";
import { exitCodes, UseError } from "../exit.ts";
import { bytesProgress } from "../progress.ts";
import { settings } from "../settings.ts";
import { coverage } from "./coverage.ts";

export async function runBackup(
  directory: string,
  target: string,
  options: { redisUrl?: string },
): Promise<number> {
  if (options.redisUrl !== undefined) await checkpointFirst(options.redisUrl);
  const collections = await backup(directory, target, bytesProgress("backing up"));
  console.log([`backed up ${directory} to ${target}, verified`, ...coverage(collections)].join("\n"));
  return exitCodes.done;
}

async function checkpointFirst(text: string): Promise<void> {
  const url = settings.redis_url.schema.safeParse(text);
  if (!url.success) throw new UseError(`--redis-url ${url.error.issues[0]!.message}`);
  await requestCheckpoint(text);
  console.log(`made a checkpoint through ${publicUrl(text)}`);
}

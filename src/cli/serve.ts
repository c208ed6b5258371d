/** `vstore serve`: from flags and environment to a sidecar that runs until it is told to stop. */

import { loadSample } from "../bridge/client/sample.ts";
import { publicUrl } from "../bridge/redis/connection.ts";
import { UnexpectedErrors } from "../bridge/session/unexpected-errors.ts";
import { createLog } from "../log.ts";
import { exitCodes } from "./exit.ts";
import { progress } from "./progress.ts";
import { catchStrayErrors } from "./safety-net.ts";
import { readSettings } from "./settings.ts";
import { serve } from "./sidecar-process.ts";

export async function runServe(flags: Record<string, unknown>): Promise<void> {
  const settings = readSettings((name) => flags[camelCase(name)], process.env);
  const log = createLog(settings.log_level);
  const stopping = new AbortController();
  stopOnSignals(stopping);
  const stop = stopping.signal;
  const errors = new UnexpectedErrors(log);
  catchStrayErrors(errors, () => stopping.abort());
  let isAnnounced = false;
  const onServing = (url: string) => {
    if (isAnnounced) return;
    isAnnounced = true;
    announce(url, flags.sample === true).catch((error: Error) => {
      // A lost connection leads here too; the next session tries again.
      isAnnounced = false;
      if (!stop.aborted) log.error(`the sample could not be loaded: ${error.message}`);
    });
  };
  await serve({ settings, log, errors, onServing, stop });
  // Everything is saved and told. A BullMQ connection that died with an earlier session must not keep the process.
  process.exit(process.exitCode ?? exitCodes.done);
}

async function announce(url: string, withSample: boolean): Promise<void> {
  if (withSample) await loadSample(url, progress("loading words"));
  console.log(`vstore ready ${publicUrl(url)}`);
  if (withSample) console.log(invitation(url));
}

/** At SIGINT, SIGTERM, or when the terminal goes away; a second signal ends the process at once. */
function stopOnSignals(stop: AbortController): void {
  const onSignal = () => {
    if (stop.signal.aborted) process.exit(exitCodes.failed);
    stop.abort();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, onSignal);
}

function invitation(url: string): string {
  const { hostname, port } = new URL(url);
  const redisCli = hostname === "127.0.0.1" ? `redis-cli -p ${port}` : `redis-cli -u ${publicUrl(url)}`;
  return [
    "Paste into another terminal:",
    `  ${redisCli} VSTORE.SEARCH words KEY king COUNT 6 WITHDISTANCES`,
    `  ${redisCli} VSTORE.INSERT words my-king VALUES 100 $(${redisCli} VSTORE.GET words king)`,
    `  ${redisCli} VSTORE.INFO words`,
  ].join("\n");
}

/** Commander's name for the value of a flag. */
function camelCase(name: string): string {
  return name.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

/** `vstore serve`: from flags and environment to a sidecar that runs until it is told to stop. */

import { loadSample } from "../bridge/client/sample.ts";
import { publicUrl, redisCli } from "../bridge/redis/address.ts";
import { checkDatabase } from "../bridge/redis/connection.ts";
import { UnexpectedErrors } from "../bridge/session/unexpected-errors.ts";
import { Watch } from "../bridge/watch/watch.ts";
import { createLog, type Logger, takeOverConsole } from "../log.ts";
import { makeDataDirectory } from "./data-directory.ts";
import { exitCodes } from "./exit.ts";
import { startHttp } from "./http.ts";
import { progress } from "./progress.ts";
import { catchStrayErrors } from "./safety-net.ts";
import { type Given, readSettings, SettingsError } from "./settings.ts";
import { serve } from "./sidecar-process.ts";

/** @param ignored variables of the environment that look like settings and are not */
export async function runServe(
  sourceOf: (flag: string) => string | undefined,
  flags: Record<string, unknown>,
  ignored: readonly string[],
): Promise<void> {
  const given = (name: string) => ({ value: flags[name], source: sourceOf(name) }) as Given;
  const settings = readSettings((name) => given(camelCase(name)), process.env);
  makeDataDirectory(settings.data_dir);
  const log = createLog(settings.log_level);
  takeOverConsole(log, "warn");
  if (settings.redis_url !== undefined) await assertDatabase(settings.redis_url);
  if (ignored.length > 0)
    log.info({ variables: ignored }, "ignored variables of a Kubernetes service: they are not settings");
  const stopping = new AbortController();
  stopOnSignals(stopping, () => log.info("stopping: the last answers, then a checkpoint"));
  const stop = stopping.signal;
  const errors = new UnexpectedErrors(log);
  catchStrayErrors(errors, () => stopping.abort());
  let isAnnounced = false;
  const onServing = (url: string) => {
    if (isAnnounced) return;
    isAnnounced = true;
    announce(url, flags.sample === true, log).catch((error: Error) => {
      // A lost connection leads here too; the next session tries again.
      isAnnounced = false;
      if (!stop.aborted) log.error(`the sample could not be loaded: ${error.message}`);
    });
  };
  const watch = new Watch();
  const http = await startHttp(settings, watch, log);
  try {
    await serve({ settings, log, errors, watch, onServing, stop });
  } finally {
    http?.close();
  }
  log.info("stopped; everything is saved");
  // Everything is logged by now. A BullMQ connection that died with an earlier session must not keep the process alive.
  process.exit(process.exitCode ?? exitCodes.done);
}

/** Refuses at once a database that does not exist, as that never changes by waiting. @throws SettingsError */
async function assertDatabase(url: string): Promise<void> {
  await checkDatabase(url).catch((error: Error) => {
    throw new SettingsError(`--redis-url ${publicUrl(url)}: ${error.message}`);
  });
}

async function announce(url: string, withSample: boolean, log: Logger): Promise<void> {
  const hasSample = withSample && (await loadSample(url, progress("loading words")));
  if (withSample && !hasSample)
    log.warn("the collection 'words' is your own, so the sample is not loaded into it");
  console.log(`vstore ready ${publicUrl(url)}`);
  if (hasSample) console.log(invitation(url));
}

/** At SIGINT, SIGTERM, or when the terminal goes away; a second signal ends the process at once. */
function stopOnSignals(stop: AbortController, onStop: () => void): void {
  const onSignal = () => {
    if (stop.signal.aborted) process.exit(exitCodes.failed);
    onStop();
    stop.abort();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, onSignal);
}

function invitation(url: string): string {
  const cli = redisCli(url);
  return [
    "Paste into another terminal:",
    `  ${cli} VSTORE.SEARCH words KEY king COUNT 6 WITHDISTANCES`,
    `  ${cli} VSTORE.INSERT words my-king VALUES 100 $(${cli} VSTORE.GET words king)`,
    `  ${cli} VSTORE.INFO words`,
  ].join("\n");
}

/** Commander's name for the value of a flag. */
function camelCase(name: string): string {
  return name.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * `vstore serve`, from its settings to the end of the process: the files, a Redis of its own if none is named, and
 * the sidecar between them.
 */
import { createHash, randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { resolve } from "node:path";
import { EmbeddedRedis } from "../bridge/redis/embedded-redis.ts";
import type { UnexpectedErrors } from "../bridge/session/unexpected-errors.ts";
import { Sidecar } from "../bridge/sidecar.ts";
import type { Watch } from "../bridge/watch/watch.ts";
import { shortWay } from "../commands/search/plain-search.ts";
import { remedy } from "../engine/addon.ts";
import { Catalog } from "../engine/catalog.ts";
import { steadyTime } from "../engine/clock.ts";
import { assertAvailable, type IndexChoice, isNativeBuilt, setThreads } from "../engine/index/kinds.ts";
import { memoryBudget } from "../engine/memory-budget.ts";
import { keepWithinLimit } from "../engine/memory-keeper.ts";
import type { Logger } from "../log.ts";
import { openFilesMax, openFilesWanted } from "../open-files.ts";
import type { Settings } from "./settings.ts";

export interface ServeOptions {
  readonly settings: Settings;
  readonly log: Logger;
  readonly errors: UnexpectedErrors;
  readonly watch: Watch;
  /** Called with the Redis URL each time that clients are served (again). */
  readonly onServing: (url: string) => void;
  /** Ends it in order: last answers, checkpoint, Redis. */
  readonly stop: AbortSignal;
}

export async function serve(options: ServeOptions): Promise<void> {
  const { settings, log } = options;
  assertAvailable(settings.index);
  if (settings.index === "auto" && !isNativeBuilt()) {
    log.warn(`the native index is not built, so the slower portable one is used: ${remedy()}`);
  }
  setThreads(settings.search_threads, settings.build_threads);
  const files = new Files(settings.data_dir, settings.index, log);
  memoryBudget.set(settings.memory_limit);
  const keeper = keepWithinLimit();
  try {
    if (settings.redis_url === undefined) await serveOwnRedis(options, files);
    else await runSidecar(options, files, { url: settings.redis_url, sidecarId: randomUUID() });
  } finally {
    clearInterval(keeper);
    await files.close();
  }
}

/**
 * Only the process that has the files can lead here. With one constant id it takes over the lease of a killed
 * predecessor at once; with a new id it would have to wait for the lease to run out.
 */
async function serveOwnRedis(options: ServeOptions, files: Files): Promise<void> {
  const { settings, log } = options;
  // First the files: the process that has them owns the Redis beside them, also one that an earlier run left behind.
  await files.open();
  const redis = new EmbeddedRedis(settings.port, settings.data_dir, settings.redis_server, log);
  try {
    await redis.ensureRunning();
    await runSidecar(options, files, { url: redis.url, sidecarId: "embedded" }, () => redis.ensureRunning());
  } finally {
    // Before Redis stops: then its AOF, which it may have failed to write, is not needed.
    await files.close();
    await redis.stop();
  }
}

async function runSidecar(
  { settings, log, errors, watch, onServing, stop }: ServeOptions,
  files: Files,
  { url, sidecarId }: { url: string; sidecarId: string },
  beforeConnect = async () => {},
): Promise<void> {
  shortWay.isOpen = settings.short_way === "on";
  const sidecar = new Sidecar(
    {
      url,
      sidecarId,
      checkpointIntervalMs: settings.checkpoint_interval_ms,
      checkpointLogBytes: settings.checkpoint_log_bytes,
      followerLogBytes: settings.follower_log_bytes,
      syncFollowers: settings.sync_followers,
      candidateWaitMs: settings.candidate_wait_ms,
      role: settings.role,
      followerId: followerIdOf(settings.data_dir),
      partTimeoutMs: settings.part_timeout_ms,
      busyPollUs: settings.busy_poll_us,
      ingest: {
        concurrency: settings.ingest_concurrency,
        jobsPerSecond: settings.ingest_jobs_per_second,
        batchItems: settings.ingest_batch_items,
        jobItems: settings.ingest_job_items,
        jobBytes: settings.ingest_job_bytes,
      },
      log,
      errors,
      watch,
      catalog: () => files.open(),
      beforeConnect,
      onServing: () => onServing(url),
    },
    stop,
  );
  await sidecar.run();
}

/** The same for every process on this directory, so that a restart goes on where it was. */
function followerIdOf(directory: string): string {
  const hash = createHash("sha256").update(resolve(directory)).digest("hex");
  return `${hostname().slice(0, 64)}-${hash.slice(0, 8)}`;
}

/** The data directory, opened once it is needed: a sidecar that stands by must not lock it. */
class Files {
  readonly #directory: string;
  readonly #index: IndexChoice;
  readonly #log: Logger;
  #catalog: Catalog | undefined;

  constructor(directory: string, index: IndexChoice, log: Logger) {
    this.#directory = directory;
    this.#index = index;
    this.#log = log;
  }

  async open(): Promise<Catalog> {
    const warn = (message: string, details?: object) => this.#log.warn(details, message);
    const files = openFilesMax();
    if (files < openFilesWanted)
      warn("few files may be open; raise the limit (ulimit -n, LimitNOFILE)", {
        files,
        wanted: openFilesWanted,
      });
    this.#catalog ??= await Catalog.open(this.#directory, warn, this.#index, steadyTime());
    return this.#catalog;
  }

  /** Makes a last checkpoint. */
  async close(): Promise<void> {
    const catalog = this.#catalog;
    this.#catalog = undefined;
    await catalog?.close();
  }
}

/**
 * Builds the way of a request through the sidecar: from the streams to the loop, and from there to the outbox.
 */
import { cacheSet } from "../../commands/cache/set.ts";
import type { Context } from "../../commands/command.ts";
import type { Timelines } from "../../commands/token.ts";
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import { FIRST_ID } from "../../engine/log-id.ts";
import { limits } from "../../limits.ts";
import type { Logger } from "../../log.ts";
import type { Follows } from "../follow/follows.ts";
import type { Followers } from "../followers/followers.ts";
import type { LeaderProgress } from "../followers/progress.ts";
import type { LogLosses } from "../logs/losses.ts";
import { Obstructions } from "../logs/obstructions.ts";
import { endsOfDamaged } from "../logs/reconcile.ts";
import { jobFailures } from "../redis/job-queue.ts";
import { nodeTag, readsStream } from "../redis/keys.ts";
import { closedConnections, outputLimitOf } from "../redis/output-limit.ts";
import type { LoopTurns } from "../session/loop-turns.ts";
import type { Session } from "../session/session.ts";
import type { UnexpectedErrors } from "../session/unexpected-errors.ts";
import { shardingOf } from "../shards/sharding.ts";
import { Endings } from "../upkeep/endings.ts";
import type { Watch } from "../watch/watch.ts";
import { Answers } from "./answers.ts";
import { Control, type Drops } from "./control.ts";
import { Loop } from "./loop.ts";
import { timeOf } from "./moment.ts";
import type { Outbox } from "./outbox.ts";
import { Reader } from "./reader.ts";
import { AsOfWaits } from "./reads/as-of-waits.ts";
import { Reads, type ReadsParts } from "./reads/reads.ts";
import { refusalsOf } from "./refusals.ts";
import { Releases } from "./releases.ts";
import type { Request } from "./request.ts";
import { Sources } from "./sources.ts";
import { type Forgeries, Writes } from "./writes.ts";

export interface ServingParts {
  readonly session: Session;
  /** Of its Redis. */
  readonly url: string;
  readonly catalog: Catalog;
  readonly losses: LogLosses;
  readonly follows: Follows;
  readonly progress: LeaderProgress;
  readonly followers: Followers;
  readonly timelines: Timelines;
  readonly outbox: Outbox;
  /** Whether followers have to apply a write before it is answered. */
  readonly isAcknowledged: boolean;
  /** How long a part of a collection may take to answer. */
  readonly partTimeoutMs: number;
  /** How long to poll for the next request before the process sleeps, in microseconds. */
  readonly busyPollUs: number;
  readonly log: Logger;
  readonly errors: UnexpectedErrors;
  readonly watch: Watch;
  readonly turns: LoopTurns;
  /** Throws when another sidecar may be serving by now. */
  readonly assertLeader: () => void;
  /** Called with the size of every log entry that was applied. */
  readonly onApplied: (collection: Collection, bytes: number) => void;
}

export interface RequestWay {
  readonly loop: Loop;
  readonly endings: Endings;
  /** For a command that does not come through a stream. */
  readonly context: () => Context;
}

export async function createLoop(parts: ServingParts): Promise<RequestWay> {
  const { session, catalog, losses, outbox, log } = parts;
  const { writer } = session;
  const sources = new Sources(catalog, await endsOfDamaged(writer, catalog));
  const obstructions = new Obstructions(writer, log);
  const releases = new Releases(outbox, catalog.control.proofKeys);
  const answers = new Answers(outbox, parts.watch.tally, releases);
  const contextAt = contextOf(parts, obstructions);
  const context: ReadsParts["context"] = (request, answerRoom) => {
    const time = timeOf(request, catalog.clock());
    const isClient = request.waiter.kind === "client";
    const release = releases.of(request);
    return contextAt(request.id, time, isClient, answerRoom, release, sharding?.making.partsOf(request));
  };
  const contextOfPart = (answerRoom: Context["answerRoom"]) =>
    contextAt(FIRST_ID, catalog.clock(), false, answerRoom);
  const sharding = shardingOf(parts, answers, context, contextOfPart);
  const isProven = (request: Request) => releases.isProven(request);
  const endings = new Endings(session, catalog, isProven, log);
  const drops: Drops = { isProven, begin: (dropId) => endings.begin(dropId) };
  const forgeries = forgeriesOf(session, releases, answers);
  const reader = new Reader(session, sources, obstructions, await outputLimitOf(writer));
  const heard = (collection: Collection, { id, bytes, stream }: Request) => {
    losses.applied.note(collection, id);
    parts.onApplied(collection, bytes);
    if (parts.isAcknowledged) outbox.tellApplied(stream, id);
  };
  const asOfWaits = new AsOfWaits(catalog, limits.asOfWaitMsMax, parts.timelines);
  const loop = new Loop({
    reader,
    writes: new Writes(writer, catalog, answers, forgeries, context, heard, () => session.wakeLogReader()),
    control: controlOf(parts, sharding?.answers ?? answers, context, drops),
    reads: new Reads({ catalog, answers, outbox, asOfWaits, context, isWanted: isWanted(session) }),
    sharding,
    outbox,
    busyPollUs: parts.busyPollUs,
    isAcknowledged: parts.isAcknowledged,
    assertLeader: parts.assertLeader,
    onCatalogChange: () => {
      sources.follow();
      reader.followSources();
      session.wakeLogReader().catch(() => {}); // without its connection the session is over
    },
  });
  return { loop, endings, context: () => contextAt(FIRST_ID, catalog.clock(), false) };
}

function controlOf(
  parts: ServingParts,
  answers: Pick<Answers, "toControlWrite">,
  context: (request: Request) => Context,
  drops: Drops,
): Control {
  const { session, catalog, losses, follows, progress, outbox } = parts;
  const told = parts.isAcknowledged ? outbox : undefined;
  return new Control(session, catalog, answers, context, losses, follows, progress, drops, told);
}

/** Whether the entry of a request is in its stream. On a cluster the module knows: the stream may be in its memory. */
const isWanted =
  ({ writer, answerer }: Session) =>
  async ({ stream, id }: Request) =>
    nodeTag !== "" && stream === readsStream
      ? (await answerer.call("VSTORE.FETCH", "leader", "WANTED", id)) === 1
      : (await writer.xrangeBuffer(stream, id, id, "COUNT", 1)).length > 0;

function forgeriesOf(session: Session, releases: Releases, answers: Answers): Forgeries {
  return {
    isForged(request, collection, replays) {
      return (!replays || isOfScope(collection, request)) && releases.isForged(request);
    },
    async refuse(source, request) {
      await session.confirmJoined();
      answers.toForged(source, request);
    },
  };
}

/** Whether it says of what scope a value is. */
function isOfScope(collection: Collection | undefined, { name }: Request): boolean {
  return name === cacheSet.name && (collection?.options.cache?.scope.length ?? 0) > 0;
}

/** The context that a command gets beside its arguments. */
function contextOf(parts: ServingParts, obstructions: Obstructions) {
  const { session, catalog, losses, follows, followers, timelines, outbox, errors, turns } = parts;
  const database = session.writer.options.db ?? 0;
  const logFacts = (name?: string) => ({
    ...losses.facts(name),
    ...obstructions.facts(name),
    ...(name === undefined && {
      job_failures: jobFailures.count,
      closed_connections: closedConnections.count,
    }),
    ...follows.facts(name),
    ...(name === undefined && followers.facts()),
    ...(name === undefined && { unexpected_errors: errors.count, loop_turn_ms_max: turns.longestMs }),
  });
  const refusals = (name: string) => refusalsOf(session.answerer, outbox, name);
  const renew = (cache: string, key: Uint8Array, digest: string, deadline: number) =>
    outbox.renew(cache, key, digest, deadline);
  const onUnexpectedError = (error: unknown, command: string) => errors.report(error, { command });
  // Written out: to spread an object into a larger one costs microseconds, and every request has one.
  return (
    id: string,
    time: number,
    canShowValues: boolean,
    answerRoom?: Context["answerRoom"],
    release?: Context["release"],
    shards?: Context["shards"],
  ): Context => ({
    catalog,
    id,
    time,
    database,
    logFacts,
    canShowValues,
    refusals,
    release,
    renew,
    answerRoom,
    timelines,
    shards,
    onUnexpectedError,
  });
}

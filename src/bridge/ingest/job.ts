/**
 * Checks a job of the ingest queue. A job that is wrong as a whole fails here; its items are checked one by one later
 * (item.ts). A job is data of another program, so a misspelt member is refused rather than ignored.
 */
import { UnrecoverableError } from "bullmq";
import { z } from "zod";
import { collectionName } from "../../commands/grammar/values.ts";
import { toWireError } from "../../commands/wire/wire-error.ts";
import { type ErrorCode, VstoreError } from "../../errors.ts";

export interface JobLimits {
  /** Items of one job. */
  readonly jobItems: number;
  /** Characters of one job's JSON text. */
  readonly jobBytes: number;
}

export interface IngestJob {
  readonly collection: string;
  readonly items: readonly unknown[];
}

/** The result of a finished job; `inserted + updated + failedCount` is the number of its items. */
export interface IngestResult {
  /** Keys that are new. */
  readonly inserted: number;
  /** Items whose key had a vector, also one of an earlier item of the same job. */
  readonly updated: number;
  readonly failedCount: number;
  /** The first of those, with their position in `items`. */
  readonly failed: readonly { readonly index: number; readonly reason: string }[];
}

/** The job fails with this reason, and is not tried again by itself. */
export class RefusedJob extends UnrecoverableError {
  constructor(reason: string) {
    super(reason);
    // BullMQ keeps a failed job's stack in Redis, where the reason says all there is.
    this.stack = "";
  }
}

/** A job that no later attempt could accept. */
export class MalformedJob extends RefusedJob {
  constructor(code: ErrorCode, what: string) {
    super(toWireError(new VstoreError(code, what)));
  }
}

/** What the schemas of src/commands check: an argument as it would come from a client. */
export const toUtf8 = (text: string): Uint8Array => Buffer.from(text);

const job = z.strictObject(
  {
    collection: z.string("a string").transform(toUtf8).pipe(collectionName),
    items: z.array(z.unknown(), "an array").min(1, "an array of at least one item"),
  },
  "an object {collection, items}",
);

/** @throws {MalformedJob} that says what is wrong with it */
export function readJob(text: string, { jobItems, jobBytes }: JobLimits): IngestJob {
  if (text.length > jobBytes) {
    throw new MalformedJob("LIMIT", `the job has ${text.length} bytes of JSON; the limit is ${jobBytes}`);
  }
  const result = job.safeParse(parseJson(text));
  if (!result.success) throw new MalformedJob("ERR", describeFault(result.error, "job"));
  const { items } = result.data;
  if (items.length > jobItems) {
    throw new MalformedJob("LIMIT", `the job has ${items.length} items; the limit is ${jobItems}`);
  }
  return result.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new MalformedJob("ERR", "the job's data must be JSON");
  }
}

/** The first fault as the sentence that VSTORE's own errors are. */
export function describeFault({ issues: [issue] }: z.ZodError, whole: string): string {
  if (issue?.code === "unrecognized_keys") {
    return `'${issue.keys[0]?.slice(0, echoLengthMax)}' is not a member of the ${whole}`;
  }
  return `'${issue?.path.join(".") || whole}' must be ${issue?.message}`;
}

/** Longest name from a job that a message repeats. */
const echoLengthMax = 64;

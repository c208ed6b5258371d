/**
 * NOWAIT and WAIT of the whole. A write with NOWAIT is answered once it is in the log of each part that it concerns, so
 * it is as safe as any write with NOWAIT. What it answers names an entry of each part; where it has none, the last one
 * before it, with a `+`: the write comes behind that.
 *
 *   n1,1763829600000-41,1763829600003-0+,0-0+
 */
import { waitArguments } from "../../../commands/collections/wait.ts";
import { parseArguments, value } from "../../../commands/grammar/arguments.ts";
import { echo } from "../../../commands/grammar/bytes.ts";
import { arity } from "../../../commands/grammar/syntax.ts";
import { blob } from "../../../commands/grammar/values.ts";
import { commands } from "../../../commands/registry.ts";
import { type Reply, Status } from "../../../commands/wire/reply.ts";
import { ID_PATTERN, nextId } from "../../../engine/log-id.ts";
import { VstoreError } from "../../../errors.ts";
import type { Request } from "../../requests/request.ts";
import type { Entry, Parts } from "../parts.ts";
import type { Handler } from "./handler.ts";
import { sum } from "./reading.ts";

/** Begins what a write with NOWAIT answers. */
const form = "n1";
const optionWord = "NOWAIT";
/** Bytes of an id of one part, with what stands before and behind it. */
const entryBytesMax = 43;

/** Whether the module would take the last word away, were this no collection with parts. */
export function asksNotToWait({ name, args }: Request): boolean {
  const last = args.at(-1);
  const command = commands.get(name);
  if (last?.length !== optionWord.length || command?.route !== "log") return false;
  // The grammar has NOWAIT among its options already, which the least number of words does not count.
  return (
    args.length >= Math.abs(arity(command.args.nodes)) && last.toString("latin1").toUpperCase() === optionWord
  );
}

/** Answers a write with NOWAIT. @param handler of its command */
export async function writeWithoutWaiting(
  handler: Handler,
  parts: Parts,
  request: Request,
  context: Parameters<Handler>[2],
) {
  const inLogs = parts.inLogs();
  await handler(inLogs, request.args.slice(0, -1), context);
  return new Status(textOf(inLogs.entries));
}

function textOf(entries: readonly Entry[]): string {
  return [form, ...entries.map(({ id, isOfOthers }) => (isOfOthers ? `${id}+` : id))].join(",");
}

const waitOfParts = waitArguments(value("id", "string", blob("what a write with NOWAIT answered")));

/** Waits for all parts. The reason is that of the first part that has refused a write. */
export const readWait: Handler = async (parts, args) => {
  const { id, options } = parseArguments(waitOfParts, args);
  const [last, since] = [entriesIn(id, parts), entriesIn(options.since, parts)];
  const answers = (await parts.askAllLong("WAIT", (part) => [
    ...(last === undefined ? [] : [last[part]!.id]),
    ...(since === undefined ? [] : ["SINCE", firstOf(since[part]!)]),
  ])) as [Buffer, number, Buffer | null][];
  for (const [part, [id]] of answers.entries()) parts.hasEntry(part, String(id));
  const reasons = answers.map(([, , reason]) => reason).filter((reason) => reason !== null);
  const applied: Reply = textOf(answers.map(([id]) => ({ id: String(id), isOfOthers: false })));
  return [applied, sum(answers.map(([, refused]) => Number(refused))), reasons[0] ?? null];
};

const firstOf = ({ id, isOfOthers }: Entry) => (isOfOthers ? nextId(id) : id);

/** @throws {VstoreError} ERR: it names no entries of a collection with so many parts */
function entriesIn(bytes: Uint8Array | undefined, { home, names }: Parts): Entry[] | undefined {
  if (bytes === undefined) return undefined;
  const isLong = bytes.length > entryBytesMax * (names.length + 1);
  const [begin, ...texts] = isLong ? [] : Buffer.from(bytes).toString("latin1").split(",");
  const entries = texts.map((text) => ({ id: text.replace(/\+$/, ""), isOfOthers: text.endsWith("+") }));
  if (begin === form && texts.length === names.length && entries.every(({ id }) => ID_PATTERN.test(id)))
    return entries;
  const what = `an id must be one that a write with NOWAIT to collection '${home.name}' answered`;
  throw new VstoreError("ERR", `${what}, got ${echo(bytes)}`);
}

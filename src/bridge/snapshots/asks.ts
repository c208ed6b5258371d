/**
 * What a follower asks for, and what the leader sends. The follower says from where on it needs which bytes; the leader
 * answers with an offer and then pieces, in a stream of that follower. Everything names the ask and the copy that it
 * belongs to, so what is left of an earlier ask, or of another leader, is told apart. PROTOCOL.md has the words.
 */
import { z } from "zod";
import { checksumText, crc32 } from "../../engine/disk/checksum.ts";

/**
 * Bytes of one piece: small, so that no client of Redis waits behind it for long, and with its entry still in 256 KiB
 * of Redis' memory.
 */
export const pieceBytes = 255 * 1024;
/** Pieces in Redis that one follower has not taken yet: 4 MiB. */
export const piecesMax = 16;
/** Of the description of the files that an offer carries. */
export const manifestBytesMax = 4 * 1024 * 1024;
/** What no follower takes any more goes away after so long. */
export const expiryMs = 60_000;
/** A follower that has got nothing for so long asks again. */
export const quietMsMax = 10_000;

/** How far a snapshot is on its way, in bytes. */
export interface SnapshotProgress {
  readonly done: number;
  readonly total: number;
}

/** For VSTORE.INFO, of all that are under way. */
export function snapshotFacts(all: readonly SnapshotProgress[]): Record<string, number> {
  const sum = (numbers: readonly number[]) => numbers.reduce((one, other) => one + other, 0);
  return {
    snapshot_bytes: sum(all.map(({ total }) => total)),
    snapshot_bytes_done: sum(all.map(({ done }) => done)),
  };
}

const askSchema = z.object({
  /** Drawn for each ask. */
  ask: z.string().max(64),
  collection: z.string(),
  /** Id of the CREATE. */
  created: z.string(),
  /** Of which copy the follower has the bytes before `at`. */
  copy: z.string().optional(),
  at: z.int().min(0),
});
export type Ask = z.infer<typeof askSchema>;

/** Undefined when it is none. */
export function decodeAsk(text: string): Ask | undefined {
  try {
    return askSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

export interface Offer {
  readonly kind: "offer";
  readonly ask: string;
  readonly copy: string;
  /** Where the pieces begin. */
  readonly at: number;
  /** JSON text of the manifest. */
  readonly manifest: string;
}

export interface Piece {
  readonly kind: "piece";
  readonly ask: string;
  readonly copy: string;
  readonly at: number;
  readonly bytes: Buffer;
}

/** The leader cannot send it. */
export interface Refusal {
  readonly kind: "refusal";
  readonly ask: string;
  readonly reason: string;
}

export type Message = Offer | Piece | Refusal;

/** Fields of a stream entry. */
export function encodeMessage(message: Message): (string | Buffer)[] {
  if (message.kind === "refusal") return ["ask", message.ask, "refusal", message.reason];
  const { ask, copy, at } = message;
  const body = message.kind === "piece" ? message.bytes : Buffer.from(message.manifest);
  const name = message.kind === "piece" ? "bytes" : "manifest";
  return ["ask", ask, "copy", copy, "at", String(at), "crc", checksumText(crc32(body)), name, body];
}

/** Undefined when it is none, or its bytes do not match their checksum. */
export function decodeMessage(fields: readonly Buffer[]): Message | undefined {
  const found = new Map<string, Buffer>();
  for (let i = 0; i + 1 < fields.length; i += 2) found.set(fields[i]!.toString("latin1"), fields[i + 1]!);
  const text = (name: string) => found.get(name)?.toString("utf8") ?? "";
  const ask = text("ask");
  if (found.has("refusal")) return { kind: "refusal", ask, reason: text("refusal") };
  const body = found.get("bytes") ?? found.get("manifest");
  const at = Number(text("at"));
  if (body === undefined || !Number.isSafeInteger(at) || text("crc") !== checksumText(crc32(body)))
    return undefined;
  const head = { ask, copy: text("copy"), at };
  return found.has("bytes")
    ? { kind: "piece", ...head, bytes: body }
    : { kind: "offer", ...head, manifest: body.toString("utf8") };
}

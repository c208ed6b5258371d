/**
 * Every Redis key that vstore uses, built in this one place; the table is in PROTOCOL.md.
 */
export const controlStream = "vstore:control";
/** The reads that the module passes on, of all collections. */
export const readsStream = "vstore:queries";
export const leaderKey = "vstore:leader";
export const epochKey = "vstore:epoch";
/** Hash: collection → stream id that its log begins after. */
export const collectionsKey = "vstore:collections";
/** Hash: log → entries that vstore itself has removed from it, or `replaced`. */
export const logsKey = "vstore:logs";
/** The store id that Redis and the files share. */
export const storeKey = "vstore:store";
/** Hash: collection → the keys that it follows, for the module to read. */
export const followsKey = "vstore:follows";
/** Hash: collection that follows keys → whether it is in step with them. */
export const syncedKey = "vstore:synced";
/** Hash: collection → how far the leader is with it, for followers; see followers/progress.ts. */
export const progressKey = "vstore:progress";
/** Hash: id of a follower → how often it has given a sign of life. */
export const followersKey = "vstore:followers";
/** Hash: collection → the id that the follower's files have made durable. */
export const followerKey = (id: string) => `vstore:follower:${id}`;
/** Hash: id of a follower → the snapshot that it asks for; see snapshots/asks.ts. */
export const snapshotsKey = "vstore:snapshots";
/** Stream: the pieces of a snapshot that a follower has not taken yet. */
export const snapshotStream = (id: string) => `vstore:snapshot:${id}`;
/** Hash: collection → up to where its log has what it had on earlier servers; see logs/timelines.ts. */
export const timelinesKey = "vstore:timelines";
/** Asks the leader to hand over: `vstore promote` sets it. */
export const promoteKey = "vstore:promote";
/** BullMQ's keys begin with this. */
export const bullPrefix = "vstore:bull";
/**
 * Streams for the answers to stream clients begin with this, so that no key of an application is written, trimmed or
 * expired.
 */
export const replyPrefix = "vstore:reply:";

export const logStream = (collection: string) => `vstore:${tagOf(collection)}:log`;
export const queriesStream = (collection: string) => `vstore:${tagOf(collection)}:queries`;
/** The log of a cache that was dropped, until its values have ended; see upkeep/endings.ts. */
export const droppedStream = (collection: string, createdId: string) =>
  `vstore:${tagOf(collection)}:dropped-${createdId}`;
export const errorsStream = (collection: string) => `vstore:${tagOf(collection)}:errors`;

/** All keys of a collection share its cluster slot: its own hash tag if it has one, else its whole name. */
export function tagOf(collection: string): string {
  return hasHashTag(collection) ? collection : `{${collection}}`;
}

/** Redis' rule: something between the first `{` and the first `}` after it. */
function hasHashTag(name: string): boolean {
  const open = name.indexOf("{");
  return open >= 0 && name.indexOf("}", open + 1) > open + 1;
}

/**
 * Whether a stream client may have its answers there. A log may begin with the prefix too: that of the collection
 * `reply:{a}`.
 */
export function isReplyStream(key: string): boolean {
  return key.startsWith(replyPrefix) && !/:(log|queries|errors)$/s.test(key);
}

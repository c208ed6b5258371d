/**
 * Every Redis key that vstore uses, built in this one place; the table is in PROTOCOL.md. On a node of a cluster the
 * keys that are there once carry a hash tag, so that they lie in a slot of that node. A process works with one node,
 * whose tag setNodeTag() puts into the names before a session uses them.
 */
export let controlStream: string;
/** The reads that the module passes on, of all collections. */
export let readsStream: string;
export let leaderKey: string;
export let epochKey: string;
/** Hash: collection → stream id that its log begins after. */
export let collectionsKey: string;
/** Hash: log → entries that vstore itself has removed from it, or `replaced`. */
export let logsKey: string;
/** The store id that Redis and the files share. */
export let storeKey: string;
/** Hash: collection → the keys that it follows, for the module to read. */
export let followsKey: string;
/** Hash: collection that follows keys → whether it is in step with them. */
export let syncedKey: string;
/** Hash: collection → how far the leader is with it, for followers; see followers/progress.ts. */
export let progressKey: string;
/** Hash: id of a follower → how often it has given a sign of life. */
export let followersKey: string;
/** Hash: id of a follower → the snapshot that it asks for; see snapshots/asks.ts. */
export let snapshotsKey: string;
/** Hash: collection → up to where its log has what it had on earlier servers; see logs/timelines.ts. */
export let timelinesKey: string;
/** Hash: id of a CREATE with SHARDS → its parts, until it is complete; see shards/unfinished.ts. */
export let unfinishedKey: string;
/** Asks the leader to hand over: `vstore promote` sets it. */
export let promoteKey: string;
/** BullMQ's keys begin with this. */
export let bullPrefix: string;

/** As VSTORE.NODE answers it; empty on a server that is no node of a cluster. */
export let nodeTag: string;

/** The tag stands behind the word, where no key of a collection has one: those end with `:log` and the like. */
const own = (word: string): string => `vstore:${word}${nodeTag === "" ? "" : `{${nodeTag}}`}`;

export function setNodeTag(tag: string): void {
  nodeTag = tag;
  controlStream = own("control");
  readsStream = own("queries");
  leaderKey = own("leader");
  epochKey = own("epoch");
  collectionsKey = own("collections");
  logsKey = own("logs");
  storeKey = own("store");
  followsKey = own("follows");
  syncedKey = own("synced");
  progressKey = own("progress");
  followersKey = own("followers");
  snapshotsKey = own("snapshots");
  timelinesKey = own("timelines");
  unfinishedKey = own("unfinished");
  promoteKey = own("promote");
  bullPrefix = own("bull");
}
setNodeTag("");

/** Hash: collection → the id that the follower's files have made durable. */
export const followerKey = (id: string) => `${own("follower")}:${id}`;
/** Stream: the pieces of a snapshot that a follower has not taken yet. */
export const snapshotStream = (id: string) => `${own("snapshot")}:${id}`;
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
/** Tells the module that the collection has its vectors in parts; see shards/marks.ts. */
export const shardsKey = (collection: string) => `vstore:${tagOf(collection)}:shards`;
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

/**
 * VSTORE.CACHE.GET: the value of the same question, or else of the nearest one in its scope that is near enough. Each
 * entry has a distance of its own up to which it answers.
 *
 * The reply names several entries. The module answers with the first one whose value is still that of its vector, so a
 * value that has just expired, or was overwritten, hides no other entry.
 */
import type { Collection } from "../../engine/collection.ts";
import type { Hit } from "../../engine/hits.ts";
import { distanceTo } from "../../engine/index/distance.ts";
import { VstoreError } from "../../errors.ts";
import { type Context, define } from "../command.ts";
import { collection, options, sequence } from "../grammar/arguments.ts";
import { latin1 } from "../grammar/bytes.ts";
import { toVector, vector } from "../grammar/vector.ts";
import { Double, type Reply } from "../wire/reply.ts";
import { distance, prompt, scope } from "./arguments.ts";
import { type Cache, cacheOf, idOf, keyOf, scopeDigest, scopeFilter, wholeScope } from "./cache.ts";
import { countersOf } from "./counters.ts";
import { type EntryFacts, readEntry } from "./entry.ts";
import { endingWithEntry } from "./module-words.ts";
import { renewedDeadline } from "./sliding.ts";

/** Entries that are looked at: the nearest one may have a small distance of its own, and the next one a large one. */
const consideredMax = 8;
/** Entries of the reply. */
const offeredMax = 4;

/** Of a digest of a question. */
const digestChars = 32;

/** Words of the module: the digests of the question, and whether the caller may renew the life of values. */
const addedToGet = 2;

type Status = "exact" | "hit" | "verify";

interface Candidate {
  readonly status: Status;
  readonly key: Uint8Array;
  readonly distance: number;
  readonly facts: EntryFacts;
}

/** What decides whether an entry answers. */
interface Question {
  readonly vector: Float32Array;
  readonly scope: string | undefined;
  readonly within: number | undefined;
  readonly verify: number | undefined;
}

export const cacheGet = define({
  name: "CACHE.GET",
  summary: "Returns the value of the same question, or of the nearest one that is near enough, from a cache.",
  complexity: "O(log N) with the index, N being the entries of the cache; O(1) for a PROMPT that is there",
  route: "queries",
  aboutSidecar: true,
  args: endingWithEntry(
    sequence({
      collection,
      vector,
      options: options({ prompt, scope, within: distance("WITHIN"), verify: distance("VERIFY") }),
    }),
    addedToGet,
  ),
  reply:
    "nil for a miss, or a map: status (exact: the same PROMPT; hit; verify: farther than the entry answers, and within " +
    "VERIFY), id, distance, age in milliseconds, value",
  replyType: "Map<string, Text | number> | null",
  async run(context, { collection: name, vector, options: given, added }) {
    const cache = cacheOf(context.catalog, name);
    if (!context.canShowValues) throw withoutRights();
    const scope = scopeDigest(wholeScope(cache.options, given.scope));
    const { within, verify } = given;
    const question = { vector: toVector(vector, cache.collection.options.dimensions), scope, within, verify };
    const same = sameQuestion(cache, name, question, latin1(added[0]!));
    const found = same === undefined ? await nearest(cache, question) : [same];
    countAnswer(cache.collection, scope, found[0]);
    const now = context.catalog.clock();
    if (added[1]!.length > 0) renew(context, cache, found[0], now);
    return found.map((each) => replyOf(name, each, now));
  },
});

/** Of a cache with TTL SLIDING, by a caller that may renew its values. */
function renew({ renew }: Context, cache: Cache, found: Candidate | undefined, now: number): void {
  if (found === undefined || found.status === "verify" || !cache.options.isSliding) return;
  const { collection } = cache;
  const deadline = renewedDeadline(found.facts, collection.lifetimes.deadlineOf(found.key) ?? 0, now);
  if (deadline !== undefined) renew?.(collection.name, found.key, found.facts.value, deadline);
}

function withoutRights(): VstoreError {
  return new VstoreError("ERR", "CACHE.GET needs a client of Redis whose rights the module knows");
}

/** @param digests of the question, and behind it, of earlier versions where they made another one; or empty */
function sameQuestion(
  cache: Cache,
  name: string,
  question: Question,
  digests: string,
): Candidate | undefined {
  for (let at = 0; at < digests.length; at += digestChars) {
    const entry = namedByQuestion(cache, name, question, digests.slice(at, at + digestChars));
    if (entry !== undefined) return entry;
  }
  return undefined;
}

/** The entry that has the name of the question, unless a client has given that name to another one. */
function namedByQuestion(
  { collection }: Cache,
  name: string,
  { vector, scope }: Question,
  digest: string,
): Candidate | undefined {
  const key = keyOf(name, digest);
  const row = collection.get(key);
  if (row === undefined) return undefined;
  const entry = readEntry(collection.getAttributes(key));
  if (entry === undefined || entry.facts.question !== digest || entry.scope !== scope) return undefined;
  const distance = distanceTo(vector, collection.options.metric)(row, 0);
  return { status: "exact", key, distance, facts: entry.facts };
}

/** Those that answer, the nearest first; where none does, the nearest one within VERIFY. */
async function nearest({ collection, options }: Cache, question: Question): Promise<readonly Candidate[]> {
  const { vector, scope, verify } = question;
  const filter = scopeFilter(scope);
  const room = () => undefined;
  const hits = await collection.search(vector, { k: consideredMax, filter, attributes: room });
  const candidates = hits.flatMap((hit) => candidateOf(hit, question, options.within) ?? []);
  const answering = candidates.filter(({ status }) => status === "hit").slice(0, offeredMax);
  if (answering.length > 0) return answering;
  return candidates.filter(({ distance }) => verify !== undefined && distance <= verify).slice(0, offeredMax);
}

/** The scope is looked at once more: no fault of a filter may show an entry of another one. */
function candidateOf(hit: Hit, { scope, within }: Question, standard: number): Candidate | undefined {
  const entry = readEntry(hit.attributes);
  if (entry === undefined || entry.scope !== scope) return undefined;
  const { key, distance } = hit;
  const answers = distance <= reachOf(entry.facts, within, standard);
  return { status: answers ? "hit" : "verify", key, distance, facts: entry.facts };
}

function countAnswer(collection: Collection, scope: string | undefined, found: Candidate | undefined): void {
  countersOf(collection).count(scope, (counts) => {
    if (found === undefined) counts.misses++;
    else if (found.status === "verify") counts.verifies++;
    else {
      counts.hits++;
      counts.exactHits += Number(found.status === "exact");
      counts.savedMs += found.facts.cost ?? 0;
    }
  });
}

/**
 * An entry's own distance is never exceeded: that of its SET, or what reports have made of it. One without answers up
 * to that of the call, or else of the cache.
 */
function reachOf(
  { within, reach: own = within }: EntryFacts,
  given: number | undefined,
  standard: number,
): number {
  if (own === undefined) return given ?? standard;
  return given === undefined ? own : Math.min(own, given);
}

/** What redis/cache/cache_answers.c reads. */
function replyOf(name: string, { status, key, distance, facts }: Candidate, now: number): Reply {
  const age = Math.max(0, Math.round(now - facts.at));
  return [status, key, facts.value, idOf(name, key), new Double(distance), age];
}

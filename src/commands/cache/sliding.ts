/**
 * TTL SLIDING: a hit renews the time that its entry has left, to the whole of its time to live, but never beyond ten
 * times that after its SET: an answer that is asked for again and again must be made anew one day.
 */
import type { EntryFacts } from "./entry.ts";

/** Times that an entry's time to live may pass since its SET. */
const livesMax = 10;
/**
 * Deadlines are whole steps of this share of the time to live: a renewal is a write of Redis and of the log, and hits
 * of the same step ask for the same.
 */
const steps = 16;

/** The deadline that a hit gives the entry, in ms since 1970; undefined where it has that already, or never expires. */
export function renewedDeadline({ at, ttl }: EntryFacts, deadline: number, now: number): number | undefined {
  if (ttl === undefined) return undefined;
  const step = Math.ceil(ttl / steps);
  const wanted = at + Math.min(Math.floor((now + ttl - at) / step) * step, livesMax * ttl);
  return wanted > deadline ? wanted : undefined;
}

/**
 * Which files of a follower may go on by the logs: those whose writes are all on the timelines of the logs (see
 * logs/lineage.ts). An old leader comes back with writes that were lost when another one took over, and a follower may
 * have heard more than the one that leads now. Such a collection is withheld from reads, and gets the leader's files.
 */
import type { Redis } from "ioredis";
import type { Catalog } from "../../engine/catalog.ts";
import type { Collection } from "../../engine/collection.ts";
import { VstoreError } from "../../errors.ts";
import { controlField, currentTimeline, isOnLog, readLineages } from "../logs/lineage.ts";

export class Admission {
  readonly #redis: Redis;
  readonly #catalog: Catalog;

  constructor(redis: Redis, catalog: Catalog) {
    this.#redis = redis;
    this.#catalog = catalog;
  }

  /** Takes over the timeline of the logs, for collections that are made from now on. */
  async look(): Promise<void> {
    const { control } = this.#catalog;
    const now = await currentTimeline(this.#redis);
    if (now === "" || now === control.lineage?.timeline) return;
    const { current, lineages } = await readLineages(this.#redis, [controlField]);
    const log = lineages[0] ?? { timeline: current, ends: [] };
    await control.follow(log, !isOnLog(control.controlId, control.lineage, log));
  }

  /** Whether the collection may be followed. @param timeline that the logs are on; "" where that is not known */
  async admits(collection: Collection, timeline = this.#timeline): Promise<boolean> {
    const { name, position, lineage } = collection;
    if (timeline !== "" && timeline !== lineage?.timeline) {
      const { current, lineages } = await readLineages(this.#redis, [name]);
      const log = lineages[0] ?? { timeline: current, ends: [] };
      if (!isOnLog(position, lineage, log)) {
        this.#catalog.withheld.set(name, withheld(name));
        return false;
      }
      collection.lineage = log;
    }
    this.#catalog.withheld.delete(name);
    return true;
  }

  get #timeline(): string {
    return this.#catalog.control.lineage?.timeline ?? "";
  }
}

function withheld(name: string): VstoreError {
  const what = `the files of collection '${name}' here hold writes that were lost at a fail-over, and wait for others`;
  return new VstoreError("TRYAGAIN", what);
}

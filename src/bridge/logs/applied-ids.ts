/**
 * Which entries of a log this process has applied last. When a replica takes over without the log's end, new entries
 * may get ids at or below the one that the files end with. Only this record tells them from applied ones.
 */
import type { Collection } from "../../engine/collection.ts";
import { compareIds } from "../../engine/log-id.ts";

/** Ids kept for each collection: older entries have reached any replica that may take over. */
export const appliedIdsMax = 65_536;

interface Ring {
  readonly ids: string[];
  next: number;
}

export class AppliedIds {
  readonly #rings = new WeakMap<Collection, Ring>();

  note(collection: Collection, id: string): void {
    let ring = this.#rings.get(collection);
    if (ring === undefined) {
      ring = { ids: [], next: 0 };
      this.#rings.set(collection, ring);
    }
    ring.ids[ring.next] = id;
    ring.next = (ring.next + 1) % appliedIdsMax;
  }

  /** The smallest id that is remembered. Of earlier ones it does not know which were applied. */
  oldest(collection: Collection): string | undefined {
    const ids = this.#rings.get(collection)?.ids ?? [];
    return ids.reduce<string | undefined>(
      (least, id) => (least === undefined || compareIds(id, least) < 0 ? id : least),
      undefined,
    );
  }

  /** Those among the ids that were not applied. */
  unknown(collection: Collection, ids: readonly string[]): Set<string> {
    const applied = new Set(this.#rings.get(collection)?.ids);
    return new Set(ids.filter((id) => !applied.has(id)));
  }
}

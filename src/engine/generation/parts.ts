/** The parts of one generation of a collection: the files that recovery opens and all else works on. */
import type { VstoreError } from "../../errors.ts";
import type { Manifest } from "../disk/manifest.ts";
import type { PageChecksums } from "../disk/pages/page-checksums.ts";
import type { Segments } from "../disk/segments.ts";
import type { SavedFilters } from "../filter/filters.ts";
import type { VectorIndex, VectorIndexKind } from "../index/vector-index.ts";
import type { Attributes } from "../slots/attributes.ts";
import type { Bitmap } from "../slots/bitmap.ts";
import type { DeadlineHeap } from "../slots/deadline-heap.ts";
import type { Keys } from "../slots/keys.ts";

/** Everything a collection keeps in files and rebuilds from them. */
export interface Parts {
  /** Of the collection: where the manifest is. */
  readonly directory: string;
  /** Of this generation: where everything else is. */
  readonly files: string;
  /** The manifest that the files were read from. */
  readonly manifest: Manifest;
  readonly segments: Segments;
  /** Checksums of the pages of the rows. */
  readonly pages: PageChecksums;
  readonly keys: Keys;
  /** Slots that have a deadline. */
  readonly expiring: DeadlineHeap;
  readonly attributes: Attributes;
  /** Slots that are alive. */
  readonly live: Bitmap;
  /** The saved columns; undefined when there are none. */
  readonly saved?: SavedFilters | undefined;
  readonly indexKind: VectorIndexKind;
  readonly index: VectorIndex;
  /** Slots below it are in the index or dead. */
  readonly watermark: number;
}

export type Warn = (message: string, details?: object) => void;

/** Told once, when vectors turn out not to be what was written: reads and writes fail from then on. */
export type OnDamage = (error: VstoreError) => void;

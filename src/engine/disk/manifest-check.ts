/**
 * Whether a manifest that matches its checksum also makes sense. The checksum finds faults of the disk. This check
 * finds faults of the program that wrote the file, so that no reader has to trust a number or a file name in it.
 */
import { z } from "zod";
import { DamagedFileError } from "../../errors.ts";
import { limits } from "../../limits.ts";
import { ID_PATTERN } from "../log-id.ts";
import { quantizations } from "../options.ts";
import { countedSegments } from "./inventory.ts";
import { COLUMNS_HEADER, LOG_HEADER, SEGMENT_BYTES } from "./layout.ts";
import { type Manifest, readManifest } from "./manifest.ts";
import { collectionOfDirectory, isColumnsFile, isIndexFile, MANIFEST_FILE } from "./names.ts";
import { pagesBytes } from "./pages/geometry.ts";

const logId = z.string().regex(ID_PATTERN);
const slots = z.int().min(0).max(limits.slotsMax);
const checksum = z.int().min(0).max(0xffff_ffff);
const logEnd = z.object({ bytes: z.int().min(LOG_HEADER.bytes), checksum });
const followedHash = z.object({ field: z.string(), attributes: z.array(z.string()) });
const cache = z.object({
  scope: z.array(z.string()),
  within: z.number(),
  errorRate: z.number().min(0).lt(1).optional(),
  maxBytes: z.number().int().positive().optional(),
  isSliding: z.boolean().optional(),
  ttlMs: z.int().min(1).optional(),
});

/** Kept loose in what a timeline is called: only the bridge knows. */
export const lineage = z.object({ timeline: z.string(), ends: z.array(z.tuple([z.string(), logId])) });

const schema = z.object({
  name: z.string(),
  createdId: logId,
  appliedId: logId,
  lineage: lineage.optional(),
  options: z.object({
    dimensions: z.int().min(limits.dimensionsMin).max(limits.dimensionsMax),
    metric: z.enum(["COSINE", "L2", "IP"]),
    M: z.int().min(limits.mMin).max(limits.mMax),
    efConstruction: z.int().min(limits.efConstructionMin).max(limits.efConstructionMax),
    ef: z.int().min(limits.efMin).max(limits.efMax),
    quantization: z.enum(quantizations),
    follow: z.object({ prefix: z.string().min(1), hash: followedHash.optional() }).optional(),
    cache: cache.optional(),
    shards: z.array(z.string()).min(limits.shardsMin).max(limits.shardsMax).optional(),
  }),
  firstSegmentBytes: z.int().min(SEGMENT_BYTES.firstMin).max(SEGMENT_BYTES.first).optional(),
  generation: z.int().min(0),
  slots,
  live: slots,
  segments: z.array(z.object({ rows: slots.min(1), checksum })),
  pages: z.object({ bytes: z.int().min(LOG_HEADER.bytes), checksum, rest: checksum }).optional(),
  keys: logEnd,
  attributes: logEnd,
  index: z
    .object({
      file: z.string().refine((file) => isIndexFile(file) && !file.includes("/")),
      kind: z.string(),
      bytes: z.int().min(0),
      checksum,
      watermark: slots,
      root: checksum.optional(),
    })
    .nullable(),
  columns: z
    .object({
      file: z.string().refine(isColumnsFile),
      bytes: z.int().min(COLUMNS_HEADER.bytes),
      checksum,
      attributesBytes: z.int().min(LOG_HEADER.bytes),
    })
    .optional(),
});

/**
 * The manifest of the collection whose directory is `<parent>/<entry>`.
 *
 * @param name of the collection; that of a library's store is "" whatever its directory is called
 * @throws {DamagedFileError}
 */
export async function readCheckedManifest(
  parent: string,
  entry: string,
  name = collectionOfDirectory(entry),
): Promise<Manifest> {
  const directory = `${parent}/${entry}`;
  const manifest = await readManifest(directory);
  const fault = manifestFault(manifest, name);
  if (fault !== undefined) throw new DamagedFileError(`${directory}/${MANIFEST_FILE}`, 0, fault);
  return manifest;
}

/** What makes no sense in a manifest of the collection `name`, wherever it comes from. */
export function manifestFault(manifest: Manifest, name: string | undefined): string | undefined {
  return shapeFault(manifest) ?? nameFault(manifest, name) ?? countFault(manifest);
}

function shapeFault(manifest: Manifest): string | undefined {
  const issue = schema.safeParse(manifest).error?.issues[0];
  return issue && `'${issue.path.join(".")}': ${issue.message}`;
}

function nameFault({ name }: Manifest, expected: string | undefined): string | undefined {
  return name === expected ? undefined : `the manifest of another collection, '${name}'`;
}

/** Every segment but the last is full, and together they have as many rows as there are slots. */
function countFault(manifest: Manifest): string | undefined {
  const segments = countedSegments(manifest);
  const rows = segments.reduce((sum, segment) => sum + segment.rows, 0);
  if (rows !== manifest.slots) return `${rows} rows in its segments for ${manifest.slots} slots`;
  const odd = segments.find(
    ({ rows, shape }, at) => rows > shape.capacity || (rows < shape.capacity && at < segments.length - 1),
  );
  if (odd !== undefined) return `${odd.rows} rows in ${odd.file}, which has ${odd.shape.capacity}`;
  if (manifest.pages !== undefined && manifest.pages.bytes !== pagesBytes(segments))
    return `${manifest.pages.bytes} bytes of checksums of pages, expected ${pagesBytes(segments)}`;
  if (manifest.live > manifest.slots) return `${manifest.live} of ${manifest.slots} slots are alive`;
  if ((manifest.index?.watermark ?? 0) > manifest.slots) return "its index knows more slots than there are";
  if ((manifest.columns?.attributesBytes ?? 0) > manifest.attributes.bytes)
    return "its columns know more attributes than there are";
  return undefined;
}

/** `verify` finds every kind of damage, says where, goes on after it, and changes nothing. */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { expect, test } from "vitest";
import { generator, testSeed } from "../../harness/random.ts";
import { Catalog } from "../../src/engine/catalog.ts";
import { crc32 } from "../../src/engine/disk/checksum.ts";
import { MANIFEST_FORMAT, PAGED_MANIFEST_VERSION } from "../../src/engine/disk/layout.ts";
import { seal, unseal } from "../../src/engine/disk/manifest.ts";
import { damagesOf, lossesOf, verify } from "../../src/engine/tools/verify.ts";
import { filledDirectory, fingerprint, flip, overwrite } from "../harness/data-directory.ts";

const check = (directory: string) => verify(directory, () => {});
const damages = async (directory: string) =>
  damagesOf(await check(directory)).map(({ file, offset, what }) => `${file}@${offset} ${what}`);

/** Bytes of a put of a key of `length` bytes, and where the n-th of one-digit keys begins. */
const put = (length: number) => 12 + length;
const nthPut = (n: number) => 16 + n * put("key 0".length);

/** Rewrites a manifest, its checksum included. */
function editManifest(directory: string, edit: (manifest: Record<string, unknown>) => void): void {
  const path = `${directory}/c-docs/MANIFEST.json`;
  const text = fs.readFileSync(path, "utf8");
  const manifest = unseal<Record<string, unknown>>(path, MANIFEST_FORMAT, text, PAGED_MANIFEST_VERSION);
  edit(manifest);
  fs.writeFileSync(path, seal(MANIFEST_FORMAT, manifest, PAGED_MANIFEST_VERSION));
}

/** Replaces the records of a log, checksums and the manifest's count of it included. */
function editLog(directory: string, edit: (log: Buffer) => Buffer, log: "keys" | "attributes"): void {
  const path = `${directory}/c-docs/${log}.log`;
  const bytes = edit(fs.readFileSync(path));
  fs.writeFileSync(path, bytes);
  editManifest(directory, (manifest) => {
    manifest[log] = { bytes: bytes.length, checksum: crc32(bytes) };
  });
}

function record(kind: number, slot: number, payload: string | Buffer): Buffer {
  const content = Buffer.from(payload);
  const bytes = Buffer.alloc(12 + content.length);
  bytes.writeUInt32LE(slot, 4);
  bytes.writeUInt32LE(((kind << 24) | content.length) >>> 0, 8);
  bytes.set(content, 12);
  bytes.writeUInt32LE(crc32(bytes, 4), 0);
  return bytes;
}

test("a healthy directory is whole, and stays as it is to the last byte and time", async () => {
  const directory = await filledDirectory();
  fs.writeFileSync(`${directory}/c-docs/segment-000007.vec`, "half");
  fs.mkdirSync(`${directory}/creating-more`);
  const before = fingerprint(directory);
  const report = await check(directory);
  expect(damagesOf(report)).toEqual([]);
  expect(report.collections.map(({ manifest }) => [manifest!.name, manifest!.live])).toEqual([
    ["docs", 898],
    ["small", 10],
  ]);
  expect(report.collections[0]!.leftovers).toEqual(["c-docs/segment-000007.vec"]);
  expect(report.leftovers).toEqual(["creating-more"]);
  expect(fingerprint(directory)).toEqual(before);
});

test("progress begins at nothing, ends at everything, and never goes back", async () => {
  const directory = await filledDirectory();
  fs.rmSync(`${directory}/c-docs/segment-000000.vec`);
  const seen: [number, number][] = [];
  await verify(directory, (done, total) => seen.push([done, total]));
  const [, total] = seen[0]!;
  expect(total).toBeGreaterThan(900 * 2_048);
  expect(seen[0]).toEqual([0, total]);
  expect(seen.at(-1)).toEqual([total, total]);
  expect(seen.filter(([done]) => done === total)).toHaveLength(1);
  expect(seen.map(([done]) => done)).toEqual(seen.map(([done]) => done).sort((a, b) => a - b));
});

test.each<[string, (d: string) => void, RegExp[]]>([
  [
    "a vector",
    (d) => flip(`${d}/c-docs/segment-000000.vec`, 9_000),
    [/segment-000000.vec@4096 the page of rows from here on has checksum/],
  ],
  [
    "vectors of several pages, the last of which are not full",
    (d) => {
      flip(`${d}/c-docs/segment-000000.vec`, 4_096 + 30 * 2_048 - 1);
      flip(`${d}/c-docs/segment-000004.vec`, 4_096 + 2 * 16_384);
      flip(`${d}/c-docs/segment-000004.vec`, 4_096 + 429 * 2_048 - 1);
    },
    [
      new RegExp(`segment-000000.vec@${4_096 + 3 * 16_384} the page`),
      new RegExp(`segment-000004.vec@${4_096 + 2 * 16_384} the page`),
      new RegExp(`segment-000004.vec@${4_096 + 53 * 16_384} the page`),
    ],
  ],
  ["a checksum of a page", (d) => flip(`${d}/c-docs/pages.crc`, 22), [/pages.crc@0 the file has checksum/]],
  [
    "missing checksums of pages",
    (d) => fs.rmSync(`${d}/c-docs/pages.crc`),
    [/pages.crc@0 the file is missing/],
  ],
  [
    "a vector and the checksums of pages",
    (d) => {
      flip(`${d}/c-docs/pages.crc`, 22);
      flip(`${d}/c-docs/segment-000000.vec`, 9_000);
    },
    [/segment-000000.vec@4096 the 30 rows .*checksum/, /pages.crc@0 the file has checksum/],
  ],
  [
    "a segment's magic",
    (d) => flip(`${d}/c-docs/segment-000001.vec`, 2),
    [/segment-000001.vec@0 no VSTORVEC/],
  ],
  [
    "a segment's version",
    (d) => flip(`${d}/c-docs/segment-000001.vec`, 8),
    [/segment-000001.vec@8 format version/],
  ],
  [
    "a segment's header",
    (d) => flip(`${d}/c-docs/segment-000001.vec`, 13),
    [/segment-000001.vec@40 the header/],
  ],
  [
    "a segment cut short",
    (d) => fs.truncateSync(`${d}/c-docs/segment-000000.vec`, 5_000),
    [/segment-000000.vec@5000 file of 5000 bytes/],
  ],
  [
    "a segment cut to nothing",
    (d) => fs.truncateSync(`${d}/c-docs/segment-000000.vec`, 0),
    [/segment-000000.vec@0 file of 0 bytes/],
  ],
  [
    "a missing segment",
    (d) => fs.rmSync(`${d}/c-docs/segment-000000.vec`),
    [/segment-000000.vec@0 the file is missing/],
  ],
  [
    "the segment of another collection",
    (d) => fs.copyFileSync(`${d}/c-small/segment-000000.vec`, `${d}/c-docs/segment-000001.vec`),
    [/segment-000001.vec@65536 file of 65536/, /segment-000001.vec@12 a segment of another/],
  ],
  [
    "a key",
    (d) => flip(`${d}/c-docs/keys.log`, nthPut(3) + 13),
    [new RegExp(`keys.log@${nthPut(3)} the record`)],
  ],
  [
    "a key's slot",
    (d) => flip(`${d}/c-docs/keys.log`, nthPut(3) + 4),
    [new RegExp(`keys.log@${nthPut(3)} the record`)],
  ],
  [
    "a record's length",
    (d) => flip(`${d}/c-docs/keys.log`, nthPut(3) + 10),
    [new RegExp(`keys.log@${nthPut(3)} .*`)],
  ],
  ["the head of a log", (d) => flip(`${d}/c-docs/keys.log`, 1), [/keys.log@0 no VSTORKEY/]],
  [
    "a log cut short",
    (d) => fs.truncateSync(`${d}/c-docs/keys.log`, nthPut(3) + 3),
    [
      new RegExp(`keys.log@${nthPut(3) + 3} file of`),
      new RegExp(`keys.log@${nthPut(3)} a record reaches beyond`),
    ],
  ],
  ["a missing log", (d) => fs.rmSync(`${d}/c-docs/attributes.log`), [/attributes.log@0 the file is missing/]],
  ["attributes", (d) => flip(`${d}/c-docs/attributes.log`, 30), [/attributes.log@16 the record/]],
  ["columns", (d) => flip(`${d}/c-docs/columns-1.col`, 900), [/columns-1.col@0 the file has checksum/]],
  ["the index", (d) => flip(`${d}/c-docs/index-1.hnsw`, 5_000), [/index-1.hnsw@0 the file has checksum/]],
  [
    "an index cut short",
    (d) => fs.truncateSync(`${d}/c-docs/index-1.hnsw`, 77),
    [/index-1.hnsw@77 file of 77 bytes/],
  ],
  ["a manifest", (d) => flip(`${d}/c-docs/MANIFEST.json`, 30), [/c-docs\/MANIFEST.json@0 /]],
  [
    "a missing manifest",
    (d) => fs.rmSync(`${d}/c-docs/MANIFEST.json`),
    [/MANIFEST.json@0 the file is missing/],
  ],
  [
    "the manifest of another collection",
    (d) => fs.copyFileSync(`${d}/c-small/MANIFEST.json`, `${d}/c-docs/MANIFEST.json`),
    [/MANIFEST.json@0 the manifest of another collection, 'small'/],
  ],
  ["vstore.json", (d) => flip(`${d}/vstore.json`, 40), [/^vstore.json@0 /]],
  ["a directory that vstore never names so", (d) => fs.mkdirSync(`${d}/c-%zz`), [/^c-%zz@0 no name/]],
  [
    "a pipe instead of a file",
    (d) => {
      fs.rmSync(`${d}/c-docs/keys.log`);
      execFileSync("mkfifo", [`${d}/c-docs/keys.log`]);
    },
    [/keys.log@0 something else than a file/],
  ],
])("damage to %s is found where it is, and nothing else", async (_, damage, expected) => {
  const directory = await filledDirectory();
  damage(directory);
  const before = fingerprint(directory);
  expect(await damages(directory)).toEqual(expected.map((text) => expect.stringMatching(text)));
  expect(fingerprint(directory)).toEqual(before);
});

test.each<[string, (d: string) => void, RegExp[]]>([
  [
    "a slot too many",
    (d) => editManifest(d, (m) => Object.assign(m, { slots: 902 })),
    [/MANIFEST.json@0 901 rows in its segments for 902/],
  ],
  [
    "a live slot too many",
    (d) => editManifest(d, (m) => Object.assign(m, { live: 899 })),
    [/keys.log@\d+ 898 live keys, expected 899/],
  ],
  [
    "a number that is none",
    (d) => editManifest(d, (m) => Object.assign(m, { live: "all" })),
    [/MANIFEST.json@0 'live'/],
  ],
  [
    "a member less",
    (d) => editManifest(d, (m) => Object.assign(m, { options: undefined })),
    [/MANIFEST.json@0 'options'/],
  ],
  [
    "a path",
    (d) => editManifest(d, (m) => Object.assign(m.index as object, { file: "index-1/../../x" })),
    [/MANIFEST.json@0 'index.file'/],
  ],
  [
    "a removal of what is dead",
    (d) => editLog(d, (log) => Buffer.concat([log, record(2, 6, "")]), "keys"),
    [/keys.log@\d+ the removal of slot 6, which is not alive/],
  ],
  [
    "a slot that is given twice",
    (d) => editLog(d, (log) => Buffer.concat([log, record(1, 900, "again")]), "keys"),
    [/keys.log@\d+ a key for slot 900, expected 901/],
  ],
  [
    "a key left out",
    (d) => editLog(d, (log) => log.subarray(0, -24 - put("key 5".length)), "keys"),
    [/keys for 900 slots, expected 901/, /live keys/],
  ],
  [
    "a deadline of what is dead",
    (d) => editLog(d, (log) => Buffer.concat([log, record(4, 6, Buffer.alloc(8))]), "keys"),
    [/keys.log@\d+ the deadline of slot 6, which is not alive/],
  ],
  [
    "a deadline that is no time",
    (d) => editLog(d, (log) => Buffer.concat([log, record(4, 8, Buffer.alloc(8, 0xff))]), "keys"),
    [/keys.log@\d+ no deadline in 8 bytes/],
  ],
  [
    "a deadline that is too short",
    (d) => editLog(d, (log) => Buffer.concat([log, record(4, 8, Buffer.alloc(7))]), "keys"),
    [/keys.log@\d+ no deadline in 7 bytes/],
  ],
  [
    "attributes that are not JSON",
    (d) => editLog(d, (log) => Buffer.concat([log, record(3, 0, "{")]), "attributes"),
    [/attributes.log@\d+ the attributes of slot 0 are not JSON/],
  ],
  [
    "attributes of no slot",
    (d) => editLog(d, (log) => Buffer.concat([log, record(3, 901, "{}")]), "attributes"),
    [/attributes.log@\d+ attributes of slot 901, there are 901/],
  ],
])("files with right checksums that do not agree are found: %s", async (_, damage, expected) => {
  const directory = await filledDirectory();
  damage(directory);
  expect(await damages(directory)).toEqual(expected.map((text) => expect.stringMatching(text)));
});

test("several damages are all reported, in one file and in many, and a lost index costs no data", async () => {
  const directory = await filledDirectory();
  for (const n of [1, 4, 5, 8]) flip(`${directory}/c-docs/keys.log`, nthPut(n) + 13);
  overwrite(`${directory}/c-docs/keys.log`, 4_000, new Uint8Array(3_000));
  flip(`${directory}/c-docs/index-1.hnsw`, 99);
  flip(`${directory}/c-docs/segment-000001.vec`, 9_999);
  flip(`${directory}/c-small/attributes.log`, 20);
  const report = await check(directory);
  const found = damagesOf(report).map(({ file, offset }) => `${file}@${offset}`);
  expect(found).toEqual([
    "c-docs/index-1.hnsw@0",
    "c-docs/segment-000001.vec@4096",
    ...[1, 4, 8].map((n) => `c-docs/keys.log@${nthPut(n)}`),
    expect.stringMatching(/c-docs\/keys.log@39\d\d/),
    "c-small/attributes.log@16",
  ]);
  // Damaged records side by side are one stretch of damage.
  const stretch = damagesOf(report).find(({ offset }) => offset === nthPut(4));
  expect(stretch?.what).toContain(`whole again from byte ${nthPut(6)} on`);
  expect(lossesOf(report)).toHaveLength(found.length - 1);
});

test("a log of nothing but damage is reported up to a limit", async () => {
  const directory = await filledDirectory();
  editLog(directory, (log) => Buffer.concat([log, ...Array(5_000).fill(record(2, 6, ""))]), "keys");
  const found = await damages(directory);
  expect(found).toHaveLength(1_001);
  expect(found.at(-1)).toContain("the rest is not listed");
});

test("random damage never goes unnoticed, and never ends the check", { timeout: 120_000 }, async () => {
  const random = generator(testSeed());
  const upTo = (end: number) => Math.floor(random() * end);
  const directory = await filledDirectory();
  const { collections } = await check(directory);
  const files = collections.flatMap((each) => each.files).filter(({ bytes }) => bytes !== undefined);
  for (let round = 0; round < 150; round++) {
    const { file, bytes } = files[upTo(files.length)]!;
    const path = `${directory}/${file}`;
    const good = fs.readFileSync(path);
    // The rest of a segment's header page holds nothing.
    const start = file.endsWith(".vec") ? 4_096 : 0;
    const at = start + upTo(bytes! - start);
    const noise = Buffer.from(Array.from({ length: 1 + upTo(200) }, () => upTo(256)));
    if (round % 3 === 0) flip(path, at);
    else if (round % 3 === 1) fs.truncateSync(path, at);
    else overwrite(path, at, noise.subarray(0, bytes! - at));
    const isChanged = !fs.readFileSync(path).equals(good);
    const found = damagesOf(await check(directory));
    expect(found.length > 0, `${file} at ${at}, round ${round}`).toBe(isChanged);
    expect(found.every((damage) => damage.file === file)).toBe(true);
    fs.writeFileSync(path, good);
  }
});

test("a directory that is in use is refused, also by those who would use it meanwhile", async () => {
  const directory = await filledDirectory();
  const catalog = await Catalog.open(directory);
  await expect(check(directory)).rejects.toMatchObject({
    code: "LOCKED",
    message: expect.stringContaining(`${process.pid}`),
  });
  await catalog.close();
  const checking = check(directory);
  await expect(Catalog.open(directory)).rejects.toMatchObject({ code: "LOCKED" });
  expect(damagesOf(await checking)).toEqual([]);
});

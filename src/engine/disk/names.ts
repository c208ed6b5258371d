/** Every name that exists on disk is built, and read back, here. */

/** In the data directory. */
export const LOCK_FILE = "LOCK";
export const CONTROL_FILE = "vstore.json";
/** In a backup, beside what it has in common with a data directory. */
export const BACKUP_FILE = "BACKUP.json";
/** In a collection's directory. */
export const MANIFEST_FILE = "MANIFEST.json";
/** In the place of a manifest, while the files of a snapshot arrive. */
export const ARRIVAL_FILE = "ARRIVAL.json";
export const KEYS_FILE = "keys.log";
export const ATTRIBUTES_FILE = "attributes.log";
export const PAGES_FILE = "pages.crc";
/** Suffix of a file that is not finished; what a crash leaves of it is removed at the next start. */
export const TEMPORARY_SUFFIX = ".tmp";
/** Suffix of a directory that backup or restore has not finished. */
export const PARTIAL_SUFFIX = ".partial";

const COLLECTION_PREFIX = "c-";
const GENERATION_PREFIX = "generation-";
const CREATING_PREFIX = "creating-";
const DROPPED_PREFIX = "dropped-";
const ENDING_PREFIX = "ending-";
const RECEIVING_PREFIX = "receiving-";
const REPLACED_PREFIX = "replaced-";
const SAFE = /[a-z0-9_.-]/;

export const segmentFile = (number: number): string => `segment-${String(number).padStart(6, "0")}.vec`;
export const isSegmentFile = (name: string): boolean => /^segment-\d{6}\.vec$/.test(name);
export const indexFile = (number: number): string => `index-${number}.hnsw`;
export const columnsFile = (number: number): string => `columns-${number}.col`;
export const isColumnsFile = (name: string): boolean => /^columns-\d+\.col$/.test(name);
export const columnsNumber = (name: string): number => Number.parseInt(name.slice("columns-".length), 10);
/**
 * Where the files of a generation are: those of the first in the collection's directory itself, those of each
 * compaction in one of their own below it.
 */
export const generationDirectory = (collection: string, generation: number): string =>
  generation === 0 ? collection : `${collection}/${GENERATION_PREFIX}${generation}`;
/** True for the files and directories that hold a generation other than `generation`. */
export const isOtherGeneration = (entry: string, generation: number): boolean =>
  entry.startsWith(GENERATION_PREFIX)
    ? entry !== `${GENERATION_PREFIX}${generation}`
    : generation !== 0 && !entry.startsWith(MANIFEST_FILE) && entry !== LOCK_FILE;
export const isIndexFile = (name: string): boolean => name.startsWith("index-");
export const indexNumber = (name: string): number => Number.parseInt(name.slice("index-".length), 10);

/**
 * The directory of a collection. Every byte outside a-z 0-9 _ . - is written as %xx, upper case letters too,
 * so that two names never meet on a file system that ignores case; the prefix keeps names such as ".." and
 * "redis" apart from everything else in the data directory.
 */
export function collectionDirectory(name: string): string {
  return COLLECTION_PREFIX + encode(name);
}

/** True for an entry that claims to be a collection's directory. */
export const isCollectionDirectory = (entry: string): boolean => entry.startsWith(COLLECTION_PREFIX);

/** The collection whose directory this is, or undefined for anything else, such as a name that is no encoding. */
export function collectionOfDirectory(entry: string): string | undefined {
  if (!isCollectionDirectory(entry)) return undefined;
  try {
    return decodeURIComponent(entry.slice(COLLECTION_PREFIX.length));
  } catch {
    return undefined;
  }
}

/** Where a collection is built before it exists, and where it goes before it is deleted. */
export const creatingDirectory = (name: string): string => CREATING_PREFIX + encode(name);
export const droppedDirectory = (id: string): string => DROPPED_PREFIX + id;

/** Where a snapshot of a collection arrives, and where the files go whose place it takes. */
export const receivingDirectory = (name: string): string => RECEIVING_PREFIX + encode(name);
export const replacedDirectory = (name: string): string => REPLACED_PREFIX + encode(name);
export const isReceiving = (entry: string): boolean => entry.startsWith(RECEIVING_PREFIX);

/** The collection's directory whose files were on their way to be replaced; undefined for any other entry. */
export const replacedOf = (entry: string): string | undefined =>
  entry.startsWith(REPLACED_PREFIX) ? COLLECTION_PREFIX + entry.slice(REPLACED_PREFIX.length) : undefined;

/** Where a cache goes that was dropped, until its values have ended. */
export const endingDirectory = (id: string): string => ENDING_PREFIX + id;
/** Id of the DROP that renamed the directory there, or undefined for any other. */
export const dropOfEnding = (entry: string): string | undefined => /^ending-(\d+-\d+)$/.exec(entry)?.[1];

/** Id of the DROP that renamed the directory away, or undefined for any other. */
export const dropOfDirectory = (entry: string): string | undefined => /^dropped-(\d+-\d+)$/.exec(entry)?.[1];

/** True for what a crash in the middle of CREATE, DROP or a replacement leaves behind. */
export const isLeftover = (entry: string): boolean =>
  [CREATING_PREFIX, DROPPED_PREFIX, REPLACED_PREFIX].some((prefix) => entry.startsWith(prefix));

function encode(name: string): string {
  let text = "";
  for (const byte of Buffer.from(name)) {
    const character = String.fromCharCode(byte);
    text += SAFE.test(character) ? character : `%${byte.toString(16).padStart(2, "0")}`;
  }
  return text;
}

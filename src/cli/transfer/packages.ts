/** Packages that few transfers need: users install them beside vstore. */
import { UseError } from "../exit.ts";

type Loaded<T> = () => Promise<T>;

const readers = "hyparquet hyparquet-compressors";

export const arrowPackage: Loaded<typeof import("apache-arrow")> = () =>
  load(() => import("apache-arrow"), "Arrow", "apache-arrow");
export const pgPackage: Loaded<typeof import("pg")> = () => load(() => import("pg"), "--from-pgvector", "pg");
export const parquetReader: Loaded<typeof import("hyparquet")> = () =>
  load(() => import("hyparquet"), "Parquet", readers);
export const parquetCompressors: Loaded<typeof import("hyparquet-compressors")> = () =>
  load(() => import("hyparquet-compressors"), "Parquet", readers);
export const parquetWriter: Loaded<typeof import("hyparquet-writer")> = () =>
  load(() => import("hyparquet-writer"), "writing Parquet", "hyparquet-writer");

/** @throws UseError that says what to install */
async function load<T>(found: Loaded<T>, what: string, packages: string): Promise<T> {
  try {
    return await found();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new UseError(`${what} needs packages that vstore does without otherwise: npm install ${packages}`);
  }
}

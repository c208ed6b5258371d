/** The rows of a file or pipe, read here or in a thread of its own, as its format needs. */
import { UseError } from "../exit.ts";
import { ByteReader } from "../formats/byte-reader.ts";
import type { Choice, Input } from "../formats/format.ts";
import { formatOf } from "../formats/formats.ts";
import { KeySupply } from "../formats/key-supply.ts";
import type { ImportFlags } from "./import-flags.ts";

export interface FileInput {
  readonly input: Input;
  /** Of the input's bytes; undefined for a pipe, and where the input counts its rows. */
  readonly share: () => number | undefined;
  close(): void;
}

/** @param file as `ByteReader.open` has it. @throws Error, UseError when it is not what the flags say */
export async function openFile(file: string, flags: ImportFlags, skip: number): Promise<FileInput> {
  const source = await ByteReader.open(file).catch((error: Error) => {
    throw new UseError(error.message);
  });
  const format = formatOf(file, flags.format);
  if (source.path === undefined && format.readsFileOnly) {
    source.close();
    throw new UseError("this format has its index at the end, so it needs a file");
  }
  const input = await format.read(source, choiceOf(flags, skip));
  const share = () => (source.size === undefined ? undefined : source.consumed / source.size);
  return { input, share, close: () => source.close() };
}

export function choiceOf(flags: ImportFlags, skip: number): Choice {
  const { keyPrefix = "", keys, key, vector, attributes, expireTimes = true } = flags;
  const names = attributes?.split(",").map((name) => name.trim());
  return { key, vector, attributes: names, expireTimes, keys: new KeySupply(keyPrefix, keys), skip };
}

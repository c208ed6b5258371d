/** Every format by its name. */
import { didYouMean } from "../../engine/similar-name.ts";
import { UseError } from "../exit.ts";
import { arrow } from "./arrow.ts";
import { csv } from "./csv.ts";
import { type Format, type FormatName, formatNames } from "./format.ts";
import { jsonLines } from "./json-lines.ts";
import { npy } from "./npy.ts";
import { npz } from "./npz.ts";
import { parquet } from "./parquet.ts";
import { vecs } from "./vecs.ts";

const formats: Record<FormatName, Format> = {
  npy,
  npz,
  fvecs: vecs("f"),
  bvecs: vecs("b"),
  ivecs: vecs("i"),
  jsonl: jsonLines,
  csv,
  parquet,
  arrow,
};

/** @param name as it was given; else the file's ending decides. @throws UseError when it is none of them */
export function formatOf(file: string, name?: string): Format {
  if (name !== undefined) {
    const found = formatNames.find((each) => each === name);
    if (found !== undefined) return formats[found];
    const hint = didYouMean(name, formatNames) || `; there are ${formatNames.join(", ")}`;
    throw new UseError(`--format ${name} is unknown${hint}`);
  }
  const isEnding = (ending: string) => file.toLowerCase().endsWith(ending);
  const found = formatNames.find((each) => formats[each].endings.some(isEnding));
  if (found !== undefined) return formats[found];
  throw new UseError(
    `--format has to say what ${file === "-" ? "the pipe" : file} is: ${formatNames.join(", ")}`,
  );
}

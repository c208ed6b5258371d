/** The damages that a check finds in one file: one damage does not keep it from finding the next. */
import { DamagedFileError } from "../../errors.ts";

/** A file with more is not worth reading on. */
const DAMAGES_PER_FILE_MAX = 1_000;

export interface Damage {
  /** Path below the data directory. */
  readonly file: string;
  readonly offset: number;
  readonly what: string;
}

export const damageText = ({ file, offset, what }: Damage): string => `${file} at byte ${offset}: ${what}`;

export class Findings {
  readonly damages: Damage[] = [];
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  get isWhole(): boolean {
    return this.damages.length === 0;
  }

  get isFull(): boolean {
    return this.damages.length > DAMAGES_PER_FILE_MAX;
  }

  add(offset: number, what: string): void {
    if (this.isFull) return;
    const isLast = this.damages.length === DAMAGES_PER_FILE_MAX;
    this.damages.push({
      file: this.#file,
      offset,
      what: isLast ? "damaged too; the rest is not listed" : what,
    });
  }

  /** Runs a step of the check; an error about the file, or the disk below it, becomes a finding. */
  async attempt<Result>(step: () => Result | Promise<Result>): Promise<Result | undefined> {
    try {
      return await step();
    } catch (error) {
      if (error instanceof DamagedFileError) this.add(error.offset, error.what);
      else if (isSystemError(error)) this.add(0, `cannot be read: ${error.message}`);
      else throw error;
      return undefined;
    }
  }
}

/** Of the system (EIO, EACCES), or of Node when a file is too large for what it should be. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).code === "string";
}

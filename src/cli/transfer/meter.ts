/** How far a transfer is, its rate, and the time that is left: a bar on a terminal, and nothing elsewhere. */
import { Presets, SingleBar } from "cli-progress";
import { count } from "../text.ts";

const everyMs = 250;

export interface Progress {
  readonly rows: number;
  /** From 0 to 1; undefined for a pipe, whose end is not known. */
  readonly share: number | undefined;
}

export class Meter {
  readonly #bar: SingleBar | undefined;
  readonly #read: () => Progress;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #began = performance.now();
  #firstShare: number | undefined;

  constructor(what: string, read: () => Progress) {
    this.#read = read;
    if (!process.stderr.isTTY) return;
    const bar = read().share === undefined ? "" : " {bar} {percentage}%";
    const format = `${what}${bar} {rows} rows, {rate}/s{left}`;
    this.#bar = new SingleBar(
      { format, stream: process.stderr, hideCursor: true, clearOnComplete: true },
      Presets.shades_classic,
    );
    this.#bar.start(1, 0, this.#payload());
    this.#timer = setInterval(() => this.#draw(), everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#draw();
    this.#bar?.stop();
  }

  /** A line that stays, above the bar. */
  say(line: string): void {
    if (this.#bar !== undefined) process.stderr.write("\r\x1b[K");
    process.stderr.write(`${line}\n`);
  }

  #draw(): void {
    this.#bar?.update(this.#read().share ?? 0, this.#payload());
  }

  #payload() {
    const { rows, share } = this.#read();
    const seconds = (performance.now() - this.#began) / 1000;
    return { rows: count(rows), rate: count(Math.round(rows / seconds)), left: this.#left(share, seconds) };
  }

  /** A resumed import begins in the middle. */
  #left(share: number | undefined, seconds: number): string {
    this.#firstShare ??= share;
    const done = (share ?? 0) - (this.#firstShare ?? 0);
    return done <= 0 ? "" : `, ${duration(((1 - share!) * seconds) / done)} left`;
  }
}

function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 3_600), Math.floor((whole % 3_600) / 60), whole % 60];
  const [hours, minutes, rest] = parts as [number, number, number];
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${rest} s` : `${rest} s`;
}

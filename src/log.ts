/**
 * The program's log: to stderr, so that stdout carries only results. JSON lines for programs,
 * plain ones for a person at a terminal.
 */
import { isatty } from "node:tty";
import { format, styleText } from "node:util";
import { destination, type LevelWithSilent, type Logger, pino } from "pino";

export type { Logger } from "pino";

export type LogLevel = LevelWithSilent;

const stderr = 2;
/** Different texts of libraries that are logged. */
const textsMax = 100;

export function createLog(level: LogLevel): Logger {
  // Synchronous, so that the last line before an exit is not lost.
  const lines = destination({ dest: stderr, sync: true });
  const forPerson = { write: (line: string) => lines.write(plainLine(line)) };
  return pino({ level, base: null }, isatty(stderr) ? forPerson : lines);
}

/** "16:40:00 warn  text  name=value", of a line of JSON. */
export function plainLine(json: string): string {
  const { level, time, msg = "", err, ...details } = JSON.parse(json);
  const name = pino.levels.labels[level] ?? String(level);
  const clock = new Date(time).toTimeString().slice(0, 8);
  const facts = Object.entries(details).map(([key, value]) => `${key}=${plainValue(value)}`);
  const stack = err?.stack === undefined ? "" : `\n${err.stack}`;
  const text = [clock, name.padEnd(5), msg, ...facts].join(" ") + stack;
  return `${colourOf(level, text)}\n`;
}

const plainValue = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

function colourOf(level: number, text: string): string {
  if (process.env.NO_COLOR || level === pino.levels.values.info) return text;
  if (level < pino.levels.values.info!) return styleText("dim", text);
  return styleText(level < pino.levels.values.error! ? "yellow" : "red", text);
}

/** Turns what libraries print by themselves into lines of the log, each text once. */
export function takeOverConsole(log: Logger, level: "warn" | "debug"): void {
  const seen = new Set<string>();
  const say = (...parts: unknown[]): void => {
    const text = format(...parts).split("\n")[0]!;
    if (seen.has(text) || seen.size === textsMax) return;
    seen.add(text);
    log[level]({ by: "a library" }, text);
  };
  Object.assign(console, { warn: say, error: say, info: say });
}

/** Lines of one message in one span of time; the next span's first line says how many were left out. */
const linesMax = 10;
const spanMs = 60_000;

/** Warnings that entries or keys of others may cause as often as they like. */
export class LimitedLog {
  readonly #log: Logger;
  readonly #spans = new Map<string, { began: number; lines: number }>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** @param message a fixed text: there are as many spans as messages */
  warn(details: object, message: string): void {
    const now = performance.now();
    const span = this.#spans.get(message);
    if (span !== undefined && now - span.began < spanMs) {
      if (++span.lines <= linesMax) this.#log.warn(details, message);
      return;
    }
    const left_out = Math.max(0, (span?.lines ?? 0) - linesMax);
    this.#spans.set(message, { began: now, lines: 1 });
    this.#log.warn(left_out > 0 ? { ...details, left_out } : details, message);
  }
}

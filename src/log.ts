/** Where the program's log goes: JSON lines on stderr, so that stdout carries only what was asked for. */
import { destination, type Logger, pino } from "pino";

export type { Logger } from "pino";

export const logLevels = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export function createLog(level: LogLevel): Logger {
  // Synchronous, so that the last line before an exit is not lost.
  return pino({ level, base: null }, destination({ dest: 2, sync: true }));
}

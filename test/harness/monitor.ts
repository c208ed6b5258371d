/**
 * Every command that a Redis hears from now on, as MONITOR shows it. The monitor of ioredis fails where commands come
 * in while it begins.
 */
import { connect } from "node:net";
import { until } from "./serving.ts";

export interface Monitor {
  /** Like `+1763829600.000001 [0 127.0.0.1:50000] "xread" "COUNT" "1"`, those that have come whole. */
  lines(): string[];
  close(): void;
}

export async function startMonitor(port: number): Promise<Monitor> {
  let text = "";
  const socket = connect(port, "127.0.0.1", () => socket.write("MONITOR\r\n"));
  socket.on("error", () => {}); // the server was stopped first
  socket.on("data", (bytes) => {
    text += bytes.toString("latin1");
  });
  await until(
    () => text,
    (begun) => begun.startsWith("+OK\r\n"),
  );
  return { lines: () => text.split("\r\n").slice(1, -1), close: () => socket.destroy() };
}

/** Asks the sidecar behind a Redis to make everything durable in its files, as any client could. */
import { connect } from "../redis/connection.ts";

/** Longer than the module waits (vstore.wait-timeout, 600 s unless it is set higher). */
const answerMsMax = 660_000;

/** @throws Error that says why, when there is no Redis, no module or no sidecar, or the disk is full */
export async function requestCheckpoint(url: string): Promise<void> {
  const redis = await connect(url, "vstore-checkpoint", { socketTimeout: answerMsMax });
  try {
    await redis.call("VSTORE.CHECKPOINT");
  } finally {
    redis.disconnect();
  }
}

/** A BullMQ worker that waits before it asks again a Redis that refused to hand out a job, for lack of memory say. BullMQ asks at once. */
import { setTimeout as delay } from "node:timers/promises";
import { type Job, Worker } from "bullmq";

const refusedPauseMs = 1_000;

export class PatientWorker<Data, Result = void> extends Worker<Data, Result> {
  protected override async moveToActive(token: string, name?: string): Promise<Job<Data, Result>> {
    try {
      return await super.moveToActive(token, name);
    } catch (error) {
      await delay(refusedPauseMs);
      throw error;
    }
  }
}

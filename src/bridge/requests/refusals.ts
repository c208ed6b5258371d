/** Reads the refused writes that no client waited for, as far as the errors stream has kept them. */
import type { Redis } from "ioredis";
import type { Refusal } from "../../commands/command.ts";
import { errorsStream } from "../redis/keys.ts";
import { errorsStreamLengthMax, type Outbox } from "./outbox.ts";

/** Every write that was refused before this call is among them, as far as the stream still has it. */
export async function refusalsOf(redis: Redis, outbox: Outbox, collection: string): Promise<Refusal[]> {
  await outbox.flushed();
  // Redis trims whole nodes of the stream, so it has up to some hundred entries more.
  const entries = await redis.xrange(errorsStream(collection), "-", "+", "COUNT", 2 * errorsStreamLengthMax);
  return entries.flatMap(([, fields]) => {
    const [id, reason] = [fieldOf(fields, "req"), fieldOf(fields, "error")];
    return id === undefined || reason === undefined ? [] : [{ id, reason }];
  });
}

function fieldOf(fields: readonly string[], name: string): string | undefined {
  const at = fields.findIndex((field, i) => i % 2 === 0 && field === name);
  return at < 0 ? undefined : fields[at + 1];
}

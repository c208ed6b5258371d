/** Requests as stream entries, and the names of the streams; no Redis. */
import { describe, expect, test } from "vitest";
import {
  controlStream,
  errorsStream,
  isReplyStream,
  logStream,
  queriesStream,
  tagOf,
} from "../../src/bridge/redis/keys.ts";
import { Proofs } from "../../src/bridge/requests/proofs.ts";
import { decodeEntry } from "../../src/bridge/requests/request.ts";
import { laterId, nextId } from "../../src/engine/log-id.ts";

function decode(...fields: (string | Buffer)[]) {
  return decodeEntry(
    "vstore:{c}:log",
    "7-1",
    fields.map((field) => Buffer.from(field)),
  );
}

describe("a request", () => {
  test("of a client that the module has blocked", () => {
    const request = decode("cmd", "INSERT", "client", "12", "0", "c", "1", "key");
    expect(request).toMatchObject({ stream: "vstore:{c}:log", id: "7-1", name: "INSERT", fault: undefined });
    expect(request.waiter).toEqual({ kind: "client" });
    expect(request.args.map(String)).toEqual(["c", "key"]);
  });

  test("of a read has the client's user, which is the default one where the entry names none", () => {
    const userOf = (...fields: string[]) => decode("cmd", "GET", ...fields, "0", "c", "1", "key").user;
    expect(userOf("client", "12 0123456789abcdef alice")).toBe("alice");
    expect(userOf("client", "12 0123456789abcdef")).toBe("default");
    expect(userOf("client", "12")).toBe("default");
    const streamClients = userOf("reply", "vstore:reply:a");
    expect(userOf("reply", "vstore:reply:12 alice")).toBe(streamClients);
    expect(streamClients).toContain(" ");
  });

  test("of a read is believed only where it proves that the module wrote it", () => {
    const proofs = new Proofs("0001020304050607");
    const fields = (client: string) =>
      ["cmd", "GET", "client", client, "0", "c", "1", "key"].map(Buffer.from);
    const decodeRead = (id: string, client: string, by = proofs) =>
      decodeEntry("vstore:queries", id, fields(client), 0, by);
    const proven = "12 bfd5555c27d29f89";
    const read = decodeRead("7-1", `${proven} alice`);
    expect(read).toMatchObject({ user: "alice", caller: "client 12", fault: undefined });
    expect(read.waiter.kind).toBe("client");
    for (const forged of [
      decodeRead("7-2", `${proven} alice`),
      decodeRead("7-1", "12 bfd5555c27d29f88 alice"),
      decodeRead("7-1", "12 alice"),
      decodeRead("7-1", "12"),
      decodeRead("7-1", `${proven} alice`, new Proofs("0001020304050608")),
      decodeRead("7-1", `${proven} alice`, new Proofs("")),
    ]) {
      expect(forged.fault).toMatch(/^'client' is for the module/);
      expect(forged).toMatchObject({ waiter: { kind: "none" }, caller: "", user: "stream clients" });
    }
  });

  test("of a stream client names the stream that wants the answer", () => {
    const request = decode("cmd", "CARD", "reply", "vstore:reply:a", "0", "c");
    expect(request.waiter).toEqual({ kind: "stream", key: Buffer.from("vstore:reply:a") });
    expect(request.args.map(String)).toEqual(["c"]);
  });

  test("that no client waits for has its arguments right after the command", () => {
    const request = decode("cmd", "DEL", "0", "c", "1", "key");
    expect(request.waiter).toEqual({ kind: "none" });
    expect(request.args.map(String)).toEqual(["c", "key"]);
  });

  test("keeps every byte of its arguments", () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    expect(decode("cmd", "INSERT", "0", bytes).args[0]).toEqual(bytes);
  });

  test("counts the bytes of its entry", () => {
    expect(decode("cmd", "DEL", "0", "abc").bytes).toBe(3 + 3 + 1 + 3);
  });

  test.each([
    ["without a command", ["0", "c"], "'cmd'"],
    ["without anything", [], "'cmd'"],
    ["with a gap in its arguments", ["cmd", "DEL", "0", "c", "2", "key"], "'0', '1'"],
    ["with an unknown field", ["cmd", "DEL", "0", "c", "color", "red"], "'0', '1'"],
  ])("%s has a fault that says so", (_, fields, message) => {
    expect(decode(...fields).fault).toContain(message);
  });

  test("with a fault still says who waits for it", () => {
    expect(decode("cmd", "DEL", "client", "5", "9", "x").waiter).toEqual({ kind: "client" });
  });

  test.each([
    ...[controlStream, logStream("c"), queriesStream("c"), errorsStream("c"), "vstore:leader"],
    ...["orders", "answers:7", "vstore:reply", logStream("reply:{a}"), queriesStream("reply:{a}"), ""],
  ])("must not have its answer written to '%s'", (key) => {
    const request = decode("cmd", "CARD", "reply", key, "0", "c");
    expect(request.fault).toBe("'reply' must name a stream that begins with vstore:reply:");
    expect(request.waiter).toEqual({ kind: "none" });
  });
});

describe("the names of streams", () => {
  test.each([
    ["docs", "{docs}"],
    ["{tenant}docs", "{tenant}docs"],
    ["a{b}c", "a{b}c"],
    ["a{}b", "{a{}b}"],
    ["{open", "{{open}"],
    ["close}", "{close}}"],
    ["}{x", "{}{x}"],
  ])("the tag of %s is %s", (collection, tag) => {
    expect(tagOf(collection)).toBe(tag);
  });

  test("answers go to streams of their own prefix", () => {
    expect(isReplyStream("vstore:reply:7")).toBe(true);
    expect(isReplyStream("vstore:reply:a\nb")).toBe(true);
    expect(isReplyStream("vstore:answers:7")).toBe(false);
    expect(isReplyStream("x:vstore:reply:7")).toBe(false);
  });
});

describe("ids", () => {
  test("the next id carries over into the milliseconds", () => {
    expect(nextId("5-9")).toBe("5-10");
    expect(nextId("5-18446744073709551615")).toBe("6-0");
    expect(nextId("9007199254740993-1")).toBe("9007199254740993-2");
  });

  test("the later of two ids", () => {
    expect(laterId("5-9", "5-10")).toBe("5-10");
    expect(laterId("10-0", "9-99")).toBe("10-0");
  });
});

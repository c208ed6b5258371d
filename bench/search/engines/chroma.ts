/**
 * chroma: the server and the client that npm's `chromadb` brings, the vectors given and not computed. The server is of
 * the last version whose binary runs on Debian 12 (package.json's overrides).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "../../../harness/free-port.ts";
import { abreast, type Engine, type EngineKind, oneByOne, type Pass, type Place } from "../engine.ts";
import { type Matrix, row } from "../matrix.ts";
import { CLIENTS, EF_CONSTRUCTION, EF_TYPICAL, K, M } from "../settings.ts";

const PACKAGE = fileURLToPath(new URL("../node_modules/chromadb/dist/", import.meta.url));
const COLLECTION = "bench";
const BATCH_VECTORS = 1_000;
const START_MS_MAX = 20_000;
const SPACE = { COSINE: "cosine", L2: "l2", IP: "ip" } as const;

/** The part of chromadb's interface that is used here; the package is not one of the project's. */
interface Client {
  heartbeat(): Promise<number>;
  createCollection(options: object): Promise<Collection>;
  getCollection(options: object): Promise<Collection>;
}

interface Collection {
  add(records: { ids: string[]; embeddings: number[][] }): Promise<void>;
  query(options: object): Promise<{ ids: string[][] }>;
  modify(options: object): Promise<void>;
}

export const chroma: EngineKind = {
  name: "chroma",
  settings: `server over loopback HTTP, ${CLIENTS} requests at once`,
  cores: "server",
  open: async (place) => {
    if (!existsSync(PACKAGE)) throw new Error("the npm package chromadb is not installed");
    const engine = new ChromaEngine(place);
    await engine.start();
    return engine;
  },
};

class ChromaEngine implements Engine {
  readonly #place: Place;
  #server: ChildProcess | undefined;
  #client: Client | undefined;
  #collection: Collection | undefined;

  constructor(place: Place) {
    this.#place = place;
  }

  async start(): Promise<void> {
    const port = await freePort();
    const path = `${this.#place.directory}/chroma`;
    const args = [`${PACKAGE}cli.mjs`, "run", "--path", path, "--host", "127.0.0.1", "--port", String(port)];
    this.#server = spawn(process.execPath, args, { stdio: "ignore" });
    const { ChromaClient } = (await import(`${PACKAGE}chromadb.mjs`)) as {
      ChromaClient: new (options: object) => Client;
    };
    this.#client = new ChromaClient({ host: "127.0.0.1", port, ssl: false });
    await this.#untilItAnswers();
  }

  async build(base: Matrix): Promise<void> {
    const hnsw = {
      space: SPACE[this.#place.set.metric],
      max_neighbors: M,
      ef_construction: EF_CONSTRUCTION,
      ef_search: EF_TYPICAL,
    };
    const options = { name: COLLECTION, embeddingFunction: null, configuration: { hnsw } };
    this.#collection = await this.#client!.createCollection(options);
    for (let from = 0; from < base.rows; from += BATCH_VECTORS) {
      const wanted = Array.from({ length: Math.min(BATCH_VECTORS, base.rows - from) }, (_, i) => from + i);
      const embeddings = wanted.map((i) => Array.from(row(base, i)));
      await this.#collection.add({ ids: wanted.map(String), embeddings });
    }
  }

  async save(): Promise<void> {
    await this.close();
  }

  async load(): Promise<void> {
    this.#collection = await this.#client!.getCollection({ name: COLLECTION, embeddingFunction: null });
  }

  /** The server looks at it when it loads the collection, and not again. */
  async setEf(ef: number): Promise<void> {
    await this.#collection!.modify({ configuration: { hnsw: { ef_search: ef } } });
    await this.close();
    await this.start();
    await this.load();
  }

  each(queries: Matrix): Promise<Pass> {
    return oneByOne(queries, this.#search);
  }

  flood(queries: Matrix): Promise<Pass> {
    return abreast(queries, CLIENTS, this.#search);
  }

  processes(): readonly number[] {
    return [this.#server!.pid!];
  }

  ping(): Promise<unknown> {
    return this.#client!.heartbeat();
  }

  async close(): Promise<void> {
    const server = this.#server!;
    if (server.exitCode !== null || server.signalCode !== null) return;
    const gone = once(server, "exit");
    server.kill();
    await gone;
  }

  async #untilItAnswers(): Promise<void> {
    const deadline = Date.now() + START_MS_MAX;
    for (;;) {
      try {
        await this.#client!.heartbeat();
        return;
      } catch {
        if (this.#server!.exitCode !== null || Date.now() > deadline) {
          await this.close();
          throw new Error("the chroma server does not run here");
        }
        await delay(50);
      }
    }
  }

  readonly #search = async (query: Float32Array): Promise<number[]> => {
    const asked = { queryEmbeddings: [Array.from(query)], nResults: K, include: [] };
    const { ids } = await this.#collection!.query(asked);
    return ids[0]!.map(Number);
  };
}

/**
 * The HTTP server: /metrics, /health, /ready, and a page to look at. It only reads. Every answer is bounded, few are
 * made at the same time, and none keeps the event loop long, as requests of Redis clients share it.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Watch } from "../bridge/watch/watch.ts";
import { VstoreError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { refusal } from "./access.ts";
import { overview, type Question, sampleOf, search } from "./api.ts";
import { type Asset, readAssets } from "./assets.ts";
import { metricsPage, contentType as metricsType } from "./metrics.ts";
import { Observer } from "./observe.ts";

/** Connections, and requests under way; more are refused. */
const connectionsMax = 64;
const underWayMax = 8;
/** Bytes of a question: a vector of 16,384 components as text. */
const bodyBytesMax = 1024 * 1024;
const requestMsMax = 10_000;

const headers = {
  "Cache-Control": "no-store",
  "Content-Security-Policy":
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
};

export interface HttpOptions {
  readonly host: string;
  readonly port: number;
  readonly token: string | undefined;
  readonly watch: Watch;
  readonly log: Logger;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Buffer;
}

const json = (value: object, status = 200): Answer => ({
  status,
  type: "application/json",
  body: JSON.stringify(value),
});
const plain = (text: string, status = 200): Answer => ({
  status,
  type: "text/plain; charset=utf-8",
  body: `${text}\n`,
});

export class HttpServer {
  readonly #options: HttpOptions;
  readonly #observer: Observer;
  readonly #assets: ReadonlyMap<string, Asset> = readAssets();
  readonly #server: Server;
  #underWay = 0;

  private constructor(options: HttpOptions) {
    this.#options = options;
    this.#observer = new Observer(options.watch);
    this.#server = createServer({ requestTimeout: requestMsMax }, (request, response) => {
      void this.#serve(request, response);
    });
    this.#server.maxConnections = connectionsMax;
  }

  /** @throws Error when the port is taken */
  static async start(options: HttpOptions): Promise<HttpServer> {
    const http = new HttpServer(options);
    http.#server.listen(options.port, options.host);
    await once(http.#server, "listening");
    return http;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : this.#options.port;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    this.#observer.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, type, body } = await this.#answer(request);
    response.writeHead(status, {
      ...headers,
      "Content-Type": type,
      "Content-Length": Buffer.byteLength(body),
    });
    response.end(request.method === "HEAD" ? undefined : body);
  }

  /** Never rejects. */
  async #answer(request: IncomingMessage): Promise<Answer> {
    const url = urlOf(request);
    if (url === undefined) return plain("the path is not one of a URL", 400);
    const open = this.#openAnswer(url.pathname);
    if (open !== undefined) return open;
    const refused = refusal(request, this.#options.token);
    if (refused !== undefined) return plain(refused, this.#options.token === undefined ? 403 : 401);
    if (this.#underWay >= underWayMax) return plain("too many requests at the same time", 503);
    this.#underWay++;
    try {
      return await this.#ask(request, url);
    } catch (error) {
      if (error instanceof VstoreError) return json({ code: error.code, error: error.message }, 400);
      if (request.errored !== null) return plain("the request did not arrive whole", 400);
      this.#options.log.error({ err: error, path: url.pathname }, "unexpected error of the HTTP server");
      return plain("unexpected error", 500);
    } finally {
      this.#underWay--;
    }
  }

  /** Answers that show nothing of the data. */
  #openAnswer(path: string): Answer | undefined {
    const { serving, reason } = this.#options.watch;
    if (path === "/health") return plain("ok");
    if (path === "/ready") return serving ? plain("ready") : plain(`not ready: ${reason}`, 503);
    const asset = this.#assets.get(path);
    return asset && { status: 200, type: asset.type, body: asset.bytes };
  }

  async #ask(request: IncomingMessage, { pathname, searchParams }: URL): Promise<Answer> {
    const { serving, reason } = this.#options.watch;
    const route = `${request.method === "HEAD" ? "GET" : request.method} ${pathname}`;
    if (route === "GET /metrics")
      return { status: 200, type: metricsType, body: await metricsPage(await this.#observer.observe()) };
    if (route === "GET /api/overview") return json(await overview(this.#observer));
    if (route !== "POST /api/search" && route !== "GET /api/sample") return plain("not found", 404);
    if (serving === undefined) return json({ code: "VSTOREDOWN", error: reason }, 503);
    if (route === "GET /api/sample")
      return json(await sampleOf(serving, searchParams.get("collection") ?? ""));
    return json(await search(serving, await questionOf(request)));
  }
}

/** Undefined for a path such as `//`, of which no URL can be made. */
function urlOf({ url = "/" }: IncomingMessage): URL | undefined {
  const base = "http://localhost";
  return URL.canParse(url, base) ? new URL(url, base) : undefined;
}

/** Takes JSON only, which no form of a web page from elsewhere can send. @throws VstoreError */
async function questionOf(request: IncomingMessage): Promise<Question> {
  if (request.headers["content-type"] !== "application/json")
    throw new VstoreError("ERR", "the request body must be application/json");
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bodyBytesMax)
      throw new VstoreError("LIMIT", `the request body must not exceed ${bodyBytesMax} bytes`);
    chunks.push(chunk);
  }
  const question = parsed(Buffer.concat(chunks).toString());
  if (typeof question === "object" && question !== null) return question;
  throw new VstoreError("ERR", "the request body must be a JSON object");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

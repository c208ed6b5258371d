/** The HTTP server of `vstore serve`, where one is wanted. */
import type { Watch } from "../bridge/watch/watch.ts";
import { isLoopback } from "../http/access.ts";
import { HttpServer } from "../http/server.ts";
import type { Logger } from "../log.ts";
import { type Settings, SettingsError } from "./settings.ts";

/** @throws SettingsError when the network could read without a token, or the port is taken */
export async function startHttp(
  settings: Settings,
  watch: Watch,
  log: Logger,
): Promise<HttpServer | undefined> {
  const { http_port: port, http_host: host, http_token: token } = settings;
  if (port === undefined) return undefined;
  if (!isLoopback(host) && token === undefined)
    throw new SettingsError(`--http-host ${host} can be reached from elsewhere, so --http-token must be set`);
  try {
    const http = await HttpServer.start({ host, port, token, watch, log });
    log.info(`http://${host.includes(":") ? `[${host}]` : host}:${port}`);
    return http;
  } catch (error) {
    throw new SettingsError(`--http-port ${port}: ${(error as Error).message}`);
  }
}

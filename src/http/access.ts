/**
 * Which requests are answered. With a token: those that carry it. Without: those to localhost by that name. A web page
 * from elsewhere that has its own name point to 127.0.0.1 (DNS rebinding) sends its own name and is refused. The server
 * reads with the sidecar's rights and not with those of a Redis user, so more than loopback takes a token (see the
 * settings).
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/;

export function isLoopback(host: string): boolean {
  return loopback.test(host);
}

/** @returns why the request is refused; undefined when it is not */
export function refusal({ headers }: IncomingMessage, token: string | undefined): string | undefined {
  if (token !== undefined) {
    const given = headers.authorization?.replace(/^Bearer /, "") ?? "";
    return isSame(given, token) ? undefined : "a token is needed: Authorization: Bearer …";
  }
  const host = headers.host?.replace(/:\d+$/, "") ?? "";
  return isLoopback(host) ? undefined : "only requests to localhost are answered without a token";
}

/** Takes the same time whatever differs. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

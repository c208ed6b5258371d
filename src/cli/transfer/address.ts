/** Which Redis a transfer goes through: --redis-url and the files of TLS, as for `vstore serve`. */
import { placeOf, withTls } from "../../bridge/redis/address.ts";
import { UseError } from "../exit.ts";
import { settings } from "../settings.ts";

export interface AddressFlags {
  readonly redisUrl?: string;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

export const defaultUrl = "redis://127.0.0.1:6379";

/** @throws UseError when it is no address, or a file of TLS cannot be read */
export function addressOf({
  redisUrl = defaultUrl,
  tlsCa: ca,
  tlsCert: cert,
  tlsKey: key,
}: AddressFlags): string {
  const given = checkedUrl(redisUrl, "--redis-url");
  try {
    const url = withTls(given, { ca, cert, key });
    placeOf(url); // reads the files
    return url;
  } catch (error) {
    throw new UseError((error as Error).message);
  }
}

/** @throws UseError that names the flag */
export function checkedUrl(text: string, flag: string): string {
  const url = settings.redis_url.schema.safeParse(text);
  if (url.success) return text;
  throw new UseError(`${flag} ${url.error.issues[0]!.message}`);
}

/** `vstore doctor`: what is missing or set wrongly on this machine, and in a Redis, with what to do about each. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { examineRedis, type Finding } from "../bridge/client/examine.ts";
import { ensureModule } from "../bridge/redis/module-file.ts";
import { remedy } from "../engine/addon.ts";
import { assertAvailable, isNativeBuilt } from "../engine/index/kinds.ts";
import { openFilesMax, openFilesWanted } from "../open-files.ts";
import { exitCodes } from "./exit.ts";
import { bytes, table } from "./text.ts";

const freeBytesMin = 1 << 30;
const nodeMin = [20, 15] as const;

export interface DoctorOptions {
  readonly redisUrl?: string;
  readonly dataDir: string;
}

export async function runDoctor({ redisUrl, dataDir }: DoctorOptions): Promise<number> {
  const findings = [node(), index(), await module(), ...disk(dataDir), ...openFiles()];
  if (redisUrl === undefined) findings.push(server());
  else findings.push(...(await examineRedis(redisUrl)));
  console.log(table(findings.map(({ state, what, says }) => [state, what, says])).join("\n"));
  return findings.some(({ state }) => state === "bad") ? exitCodes.failed : exitCodes.done;
}

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const isNew = major > nodeMin[0] || (major === nodeMin[0] && minor >= nodeMin[1]);
  const says = isNew
    ? process.version
    : `${process.version} is too old; install ${nodeMin.join(".")} or later`;
  return { what: "Node", state: isNew ? "ok" : "bad", says };
}

function index(): Finding {
  if (isNativeBuilt()) return { what: "index", state: "ok", says: "native" };
  try {
    assertAvailable("auto");
    return {
      what: "index",
      state: "warning",
      says: `portable, which is slower; for the native one ${remedy()}`,
    };
  } catch (error) {
    return { what: "index", state: "bad", says: (error as Error).message };
  }
}

async function module(): Promise<Finding> {
  try {
    return { what: "module", state: "ok", says: await ensureModule({ info: () => {} }) };
  } catch (error) {
    return { what: "module", state: "warning", says: (error as Error).message };
  }
}

/** Of the directory, or where it would be made. */
function disk(directory: string): Finding[] {
  let place = path.resolve(directory);
  while (!fs.existsSync(place)) place = path.dirname(place);
  try {
    fs.accessSync(place, fs.constants.W_OK | fs.constants.X_OK);
  } catch {
    return [{ what: "disk", state: "bad", says: `${place} cannot be written to; choose another --data-dir` }];
  }
  const { bavail, bsize } = fs.statfsSync(place);
  const isRoomy = bavail * bsize >= freeBytesMin;
  const says = `${bytes(bavail * bsize)} free for ${directory}`;
  return [{ what: "disk", state: isRoomy ? "ok" : "warning", says }];
}

function openFiles(): Finding[] {
  const max = openFilesMax();
  if (max >= openFilesWanted) return [{ what: "open files", state: "ok", says: String(max) }];
  const says = `${max} are few for many collections; ulimit -n ${openFilesWanted}`;
  return [{ what: "open files", state: "warning", says }];
}

function server(): Finding {
  const found = ["redis-server", "valkey-server"].map((program) => {
    const { stdout } = spawnSync(program, ["--version"], { encoding: "utf8" });
    return / v=(\d+\.\d+\.\d+)/.exec(stdout ?? "")?.[1];
  });
  const version = found.find((each) => each !== undefined);
  if (version !== undefined && Number.parseInt(version, 10) >= 7) {
    return { what: "server", state: "ok", says: `version ${version}` };
  }
  const lack =
    version === undefined ? "neither redis-server nor valkey-server is installed" : `${version} is too old`;
  return {
    what: "server",
    state: "bad",
    says: `${lack}; install Redis 7.0 or Valkey 7.2, or name one with --redis-url`,
  };
}

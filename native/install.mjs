/**
 * Builds the native index when the package is installed. Where it cannot be built, vstore works with the portable
 * one, so the installation goes on.
 */
import { spawnSync } from "node:child_process";

const succeeds = (program, ...args) => spawnSync(program, args, { stdio: "ignore" }).status === 0;

/** npm says where its node-gyp is; the full output is only worth reading when it fails. */
function build() {
  const nodeGyp = process.env.npm_config_node_gyp;
  const [program, ...args] = nodeGyp === undefined ? ["node-gyp"] : [process.execPath, nodeGyp];
  const { status, stdout, stderr } = spawnSync(program, [...args, "rebuild", "--jobs=max"], {
    encoding: "utf8",
  });
  if (status !== 0) console.error(`${stdout ?? ""}${stderr ?? ""}`);
  return status === 0;
}

if (!succeeds(process.env.CXX ?? "c++", "--version")) {
  console.log("vstore: there is no C++ compiler, so the native index is not built; the portable one is used");
} else if (!build()) {
  console.log("vstore: the native index could not be built; the portable one is used");
}

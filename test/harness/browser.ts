/** Debian's Chromium, headless; scripts/ensure-chromium.sh brings it. */
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const programs = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
export const chromiumProgram = programs.find(existsSync);

/** Without a sandbox, which root cannot have; it only sees pages of this repository. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: chromiumProgram!, args: ["--no-sandbox"] });
}

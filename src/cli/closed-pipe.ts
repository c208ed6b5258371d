/**
 * The reader of a pipe may leave before it has everything, as `head` does. What the program prints from then on is
 * dropped, and it goes on to its own exit code: `verify` still says by it whether damage was found, and the sidecar
 * goes on without its log. An export ends at once: what it prints is all that it does.
 */

/** To be called before anything is printed. */
export function dropOutputOfClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error) => {
      if (!isClosedPipe(error)) throw error;
    });
  }
}

export function isClosedPipe(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "EPIPE";
}

/** Resolves once the pipe has it. @throws Error with the code EPIPE when no program reads any more */
export function print(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error == null ? resolve() : reject(error)));
  });
}

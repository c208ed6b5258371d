/** The distances of the native index, in every instruction set that this machine has. */
import { describe, expect, test } from "vitest";
import { generator, randomVector, testSeed } from "../../harness/random.ts";
import { loadAddon } from "../../src/engine/index/native-addon.ts";

const random = generator(testSeed());

describe("kernels", () => {
  const addon = loadAddon();
  const names = addon.kernelNames();

  test("plain C++ computes what they are named after", () => {
    const [a, b] = [randomVector(random, 37), randomVector(random, 37)];
    const sum = (of: (x: number, y: number) => number) => a.reduce((total, x, i) => total + of(x, b[i]!), 0);
    const int8 = (x: number) => Math.trunc(Math.fround(x * 127));
    const results = addon.runKernels(0, a, b);
    expect(results[0]).toBe(sum((x, y) => int8(x) * int8(y)));
    for (const [at, bits] of [4, 2, 1].entries()) {
      const largest = 2 ** bits - 1;
      const field = (y: number) => Math.trunc(Math.fround(((y + 1) / 2) * largest + 0.5));
      expect(results[1 + at], `${bits} bits`).toBe(sum((x, y) => int8(x) * field(y)));
    }
    expect(results[4]).toBeCloseTo(
      sum((x, y) => x * y),
      1, // a half has 11 bits
    );
    expect(results[5]).toBeCloseTo(
      sum((x, y) => x * y),
      3, // in float32, of 37 terms of up to 4
    );
    expect(results[6]).toBeCloseTo(
      sum((x, y) => (x - y) ** 2),
      3,
    );
    for (const [at, digits] of [
      [7, 3], // in float32
      [9, 12],
    ] as const) {
      expect(results[at]).toBeCloseTo(
        sum((x, y) => x * y),
        digits,
      );
      expect(results[at + 1]).toBeCloseTo(
        sum((_, y) => y * y),
        digits,
      );
    }
    expect(results[11]).toBeCloseTo(
      sum((x, y) => (x - y) ** 2),
      12,
    );
  });

  test.each(names.slice(1))("%s agrees with plain C++ at every length", (name) => {
    const lengths = [...Array.from({ length: 140 }, (_, i) => i + 1), 768, 784, 1536, 16_384];
    for (const length of lengths) {
      const [a, b] = [randomVector(random, length), randomVector(random, length)];
      a[0] = -1;
      b[length - 1] = 1;
      const [plain, fast] = [addon.runKernels(0, a, b), addon.runKernels(names.indexOf(name), a, b)];
      expect(fast.slice(0, 4), `sums of integers of ${length}`).toEqual(plain.slice(0, 4));
      for (let i = 4; i < plain.length; i++) {
        const isExactSum = i >= 9 && i <= 11;
        const tolerance = (isExactSum ? 1e-13 : 1e-5) * length;
        expect(Math.abs(fast[i]! - plain[i]!), `kernel ${i} of ${length}`).toBeLessThanOrEqual(tolerance);
      }
    }
  });

  test("halves are the nearest there are", () => {
    const one = Float32Array.of(1);
    for (let i = 0; i < 10_000; i++) {
      const x = Math.fround((random() * 2 - 1) * 2 ** -Math.floor(random() * 26));
      const [half] = [addon.runKernels(0, Float32Array.of(x), one)[4]!];
      const spacing = 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(x)))) - 10);
      expect(Math.abs(half - x)).toBeLessThanOrEqual(spacing / 2);
      for (const index of names.keys()) {
        expect(addon.runKernels(index, Float32Array.of(x), one)[4]).toBe(half);
      }
    }
  });
});

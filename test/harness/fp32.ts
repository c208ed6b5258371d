/** A vector as `FP32` takes it and `GET … RAW` gives it. */
export function fp32(...components: number[]): Buffer {
  return Buffer.from(new Float32Array(components).buffer);
}

/** A vector as `FP32` takes it and `GET … RAW` gives it: its components as little-endian float32. */
export function fp32(...components: number[]): Buffer {
  return fp32Of(Float32Array.from(components));
}

/** The same of one vector, or of several, one after the other. */
export function fp32Of(vectors: Float32Array): Buffer {
  return Buffer.from(vectors.buffer, vectors.byteOffset, vectors.byteLength);
}

/** Element types and devices by their usual names, and the typed array that holds each in JavaScript. */

export type DType = "float32" | "bfloat16" | "float16" | "float64" | "int64" | "int32" | "uint8" | "bool";

/** "cpu", "cuda" or "cuda:1". */
export type Device = "cpu" | "cuda" | `cuda:${number}`;

/** Bytes of one element. */
export const BYTES: Readonly<Record<DType, number>> = {
  float32: 4,
  bfloat16: 2,
  float16: 2,
  float64: 8,
  int64: 8,
  int32: 4,
  uint8: 1,
  bool: 1,
};

export type TypedArray = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array;

/** The typed array over bytes as the engine hands them out: 16-bit floats arrive widened to float32. */
export function typedArray(dtype: DType, buffer: ArrayBuffer): TypedArray {
  switch (dtype) {
    case "float32":
    case "bfloat16":
    case "float16":
      return new Float32Array(buffer);
    case "float64":
      return new Float64Array(buffer);
    case "int64":
      return new BigInt64Array(buffer);
    case "int32":
      return new Int32Array(buffer);
    case "uint8":
    case "bool":
      return new Uint8Array(buffer);
  }
}

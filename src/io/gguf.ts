/** Writes GGUF files, version 3: key-value pairs, the list of tensors, their data. Little-endian, data aligned to 32. */
import { CheckpointError } from "../errors.js";
import type { Tensor } from "../tensor/tensor.js";
import { writeFileAtomic } from "./files.js";
import { show } from "./json.js";

const VERSION = 3;
const ALIGNMENT = 32;
/** The format's numbers of the types of values that are written here. */
const VALUE_TYPES = { uint32: 4, float32: 6, string: 8, array: 9 } as const;
/** The format's numbers of the element types, for the ones that are written here. */
const ELEMENT_TYPES: ReadonlyMap<string, number> = new Map([
  ["float32", 0],
  ["float16", 1],
]);

export type GgufValue =
  | { readonly uint32: number }
  | { readonly float32: number }
  | string
  | readonly string[];

/**
 * Writes a file whole or not at all. Tensors are float32 or float16; their shapes are ours (the last dimension is the
 * one that lies together) and are written in the format's order, which is the reverse. Throws `CheckpointError`.
 */
export function writeGguf(
  path: string,
  values: Readonly<Record<string, GgufValue>>,
  tensors: readonly (readonly [string, Tensor])[],
): void {
  const parts: Uint8Array[] = [];
  const put = (size: number, write: (buffer: Buffer) => void): void => {
    const buffer = Buffer.alloc(size);
    write(buffer);
    parts.push(buffer);
  };
  const uint32 = (value: number) => put(4, (buffer) => buffer.writeUInt32LE(value));
  const uint64 = (value: number) => put(8, (buffer) => buffer.writeBigUInt64LE(BigInt(value)));
  const text = (value: string): void => {
    const bytes = Buffer.from(value);
    uint64(bytes.length);
    parts.push(bytes);
  };

  parts.push(Buffer.from("GGUF"));
  uint32(VERSION);
  uint64(tensors.length);
  uint64(Object.keys(values).length);
  for (const [key, value] of Object.entries(values)) {
    text(key);
    if (typeof value === "string") {
      uint32(VALUE_TYPES.string);
      text(value);
    } else if ("uint32" in value) {
      uint32(VALUE_TYPES.uint32);
      uint32(value.uint32);
    } else if ("float32" in value) {
      uint32(VALUE_TYPES.float32);
      put(4, (buffer) => buffer.writeFloatLE(value.float32));
    } else {
      uint32(VALUE_TYPES.array);
      uint32(VALUE_TYPES.string);
      uint64(value.length);
      for (const each of value) text(each);
    }
  }
  const seen = new Set<string>();
  let offset = 0;
  for (const [name, tensor] of tensors) {
    const type = ELEMENT_TYPES.get(tensor.dtype);
    if (type === undefined) {
      throw new CheckpointError(
        `${path}: tensor ${show(name)} is ${tensor.dtype}, expected float32 or float16`,
      );
    }
    if (seen.has(name)) throw new CheckpointError(`${path}: the tensor name ${show(name)} is taken`);
    seen.add(name);
    text(name);
    uint32(tensor.shape.length);
    for (const length of tensor.shape.toReversed()) uint64(length);
    uint32(type);
    uint64(offset);
    offset = aligned(offset + tensor.size * (tensor.dtype === "float32" ? 4 : 2));
  }
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  parts.push(Buffer.alloc(aligned(size) - size));
  writeFileAtomic(
    path,
    (function* () {
      yield* parts;
      for (const [, tensor] of tensors) {
        const bytes = tensor.toBytes();
        yield bytes;
        yield Buffer.alloc(aligned(bytes.length) - bytes.length);
      }
    })(),
  );
}

const aligned = (size: number): number => Math.ceil(size / ALIGNMENT) * ALIGNMENT;

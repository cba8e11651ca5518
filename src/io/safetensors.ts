/**
 * The safetensors format: header length (8 bytes), JSON header, raw bytes. Reading trusts nothing in the header and
 * maps the data instead of copying it; writing aligns the data to 64 bytes and renames a finished file into place.
 */
import { statSync } from "node:fs";
import { CheckpointError } from "../errors.js";
import { BYTES, type DType } from "../tensor/dtype.js";
import { guarded, type Mapping } from "../tensor/native.js";
import { tidy } from "../tensor/scope.js";
import { Tensor } from "../tensor/tensor.js";
import { withFile, writingFile } from "./files.js";
import { MAX_JSON_BYTES, show } from "./json.js";
import { CODES, DTYPES, type Entry, type Header, readHeader } from "./safetensors-header.js";

/** Where a tensor lies: bytes `begin` to `end` of the file. */
export interface TensorInfo {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export class SafetensorsFile {
  readonly path: string;
  /** In the order of the data. */
  readonly names: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #stamp: string;
  #mapping: Mapping | undefined;

  private constructor(path: string, header: Header, stamp: string) {
    this.path = path;
    this.names = [...header.entries.keys()];
    this.metadata = header.metadata;
    this.#entries = header.entries;
    this.#stamp = stamp;
  }

  /** Reads and checks the header; needs no engine. Throws `CheckpointError` when anything in it is wrong. */
  static open(path: string): SafetensorsFile {
    return withFile(path, (file, size) => {
      const header = readHeader(file, size, path);
      return new SafetensorsFile(path, header, stampOf(path));
    });
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** Names of tensors with an element type that cannot be read here (8-bit floats and the like), with that type. */
  get unsupported(): ReadonlyMap<string, string> {
    return new Map([...this.#entries].filter(([, e]) => e.dtype === undefined).map(([n, e]) => [n, e.code]));
  }

  /** Throws `CheckpointError` when there is no such tensor or its element type is not supported. */
  info(name: string): TensorInfo {
    const entry = this.#entries.get(name);
    if (!entry) throw new CheckpointError(`${this.path}: no tensor ${show(name)}${this.#similar(name)}`);
    const { dtype, code, ...rest } = entry;
    if (dtype === undefined) {
      throw new CheckpointError(
        `${this.path}: tensor ${show(name)} has dtype ${show(code)}, expected one of ${[...DTYPES.keys()].join(", ")}`,
      );
    }
    return { dtype, ...rest };
  }

  /**
   * The tensor over the mapped file: no copy (unless misaligned), pages are read when touched, writing to it leaves
   * the file as it is. Owned by the open scope. Values are not looked at: see `assertFinite`.
   */
  tensor(name: string): Tensor {
    const info = this.info(name);
    try {
      if (info.dtype === "bool") this.#checkBooleans(name, info);
      return this.#map(info.begin, info.dtype, info.shape);
    } catch (error) {
      if (error instanceof CheckpointError) throw error;
      throw new CheckpointError(`${this.path}: tensor ${show(name)}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  /**
   * Lets the pages go that hold nothing but this tensor: they leave this process's memory, and come back from the file when
   * touched. For tensors that have been copied, as what was written to a mapped tensor is lost.
   */
  release(name: string): void {
    const { begin, end } = this.info(name);
    const mapping = this.#mapping;
    if (mapping !== undefined) guarded((engine) => engine.releasePages(mapping, begin, end));
  }

  #map(begin: number, dtype: DType, shape: readonly number[]): Tensor {
    if (this.#mapping === undefined) {
      if (stampOf(this.path) !== this.#stamp) {
        throw new CheckpointError(`${this.path} was replaced or changed after it was opened`, {
          hint: "Open it again.",
        });
      }
      this.#mapping = guarded((engine) => engine.mapFile(this.path));
    }
    const mapping = this.#mapping;
    return new Tensor(guarded((engine) => engine.mappedTensor(mapping, begin, dtype, shape)));
  }

  // A C++ bool that is neither 0 nor 1 is undefined behaviour.
  #checkBooleans(name: string, { begin, end }: TensorInfo): void {
    if (begin === end) return;
    const largest = tidy(() =>
      this.#map(begin, "uint8", [end - begin])
        .maxAll()
        .item(),
    );
    if (largest > 1) {
      throw new CheckpointError(
        `${this.path}: tensor ${show(name)} is BOOL and holds the byte ${largest}, expected 0 or 1`,
      );
    }
  }

  #similar(name: string): string {
    const last = name.split(".").slice(-3).join(".");
    const found = this.names.filter((other) => other.endsWith(last)).slice(0, 3);
    return found.length > 0
      ? `, found ${found.map(show).join(", ")}`
      : ` among ${this.names.length} (the first: ${show(this.names[0])})`;
  }
}

/** Throws `CheckpointError` when a floating-point tensor holds NaN or infinity. */
export function assertFinite(tensor: Tensor, name: string, path: string): void {
  if (!/float/.test(tensor.dtype)) return;
  const bad = tidy(() => tensor.size - tensor.isfinite().sum().item());
  if (bad > 0) {
    throw new CheckpointError(
      `${path}: tensor ${show(name)} holds ${bad} values that are NaN or infinite (of ${tensor.size}), expected finite weights`,
      { hint: "The training that wrote it diverged, or the file is damaged." },
    );
  }
}

/** A tensor that is written when it is its turn: what the header says of it, and its bytes in row-major order. */
export interface PlannedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  bytes(): Iterable<Uint8Array>;
}

export const bytesOf = ({ dtype, shape }: Pick<PlannedTensor, "dtype" | "shape">): number =>
  shape.reduce((product, length) => product * length, BYTES[dtype]);

/**
 * Writes tensors in the order given, bytes as they are stored (bfloat16 stays bfloat16), data from a multiple of 64
 * on. The file appears under `path` only when it is complete. Throws `CheckpointError`.
 */
export function writeSafetensors(
  path: string,
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  const planned = [...tensors].map(([name, tensor]) => ({
    name,
    dtype: tensor.dtype,
    shape: tensor.shape,
    bytes: () => [tensor.toBytes()],
  }));
  const writing = writingSafetensors(path, planned, metadata);
  while (!writing.next().done);
}

/** `writeSafetensors` in steps, for tensors that are made one after another: the bytes just written, at each step. */
export function* writingSafetensors(
  path: string,
  tensors: readonly PlannedTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Generator<number, void> {
  const seen = new Set(["__metadata__"]);
  let position = 0;
  const lines = Object.keys(metadata).length > 0 ? [`"__metadata__":${JSON.stringify(metadata)}`] : [];
  for (const tensor of tensors) {
    const { name, dtype, shape } = tensor;
    if (seen.has(name)) throw new CheckpointError(`${path}: the tensor name ${show(name)} is taken`);
    seen.add(name);
    const begin = position;
    position += bytesOf(tensor);
    const entry = { dtype: CODES[dtype], shape, data_offsets: [begin, position] };
    lines.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
  }
  const text = Buffer.from(`{${lines.join(",")}}`);
  const header = Buffer.alloc(Math.ceil((text.length + 8) / 64) * 64, " ");
  if (header.length - 8 > MAX_JSON_BYTES) throw new CheckpointError(`${path}: the header exceeds 100 MB`);
  header.writeBigUInt64LE(BigInt(header.length - 8));
  text.copy(header, 8);
  yield* writingFile(
    path,
    (function* () {
      yield header;
      for (const tensor of tensors) {
        let size = 0;
        for (const bytes of tensor.bytes()) {
          size += bytes.length;
          yield bytes;
        }
        // A wrong size would shift every tensor after it.
        if (size !== bytesOf(tensor)) {
          throw new Error(`${tensor.name}: ${size} bytes were made, expected ${bytesOf(tensor)}`);
        }
      }
    })(),
  );
}

const stampOf = (path: string): string => {
  const { dev, ino, size, mtimeMs } = statSync(path);
  return [dev, ino, size, mtimeMs].join(" ");
};

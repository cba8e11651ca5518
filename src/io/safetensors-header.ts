/** The header of a safetensors file, checked against the file: it comes from outside and may lie about everything. */
import { CheckpointError } from "../errors.js";
import { BYTES, type DType } from "../tensor/dtype.js";
import { readExactly } from "./files.js";
import { isObject, MAX_JSON_BYTES, parseJsonObject, show } from "./json.js";

/** The format's names of the element types. */
export const CODES: Readonly<Record<DType, string>> = {
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
  float64: "F64",
  int64: "I64",
  int32: "I32",
  uint8: "U8",
  bool: "BOOL",
};
export const DTYPES: ReadonlyMap<string, DType> = new Map(
  Object.entries(CODES).map(([dtype, code]) => [code, dtype as DType]),
);

export interface Entry {
  /** The element type as written, and as known here. */
  readonly code: string;
  readonly dtype: DType | undefined;
  readonly shape: readonly number[];
  /** Bytes of the file. */
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  readonly metadata: Record<string, string>;
  /** In the order of the data. */
  readonly entries: ReadonlyMap<string, Entry>;
}

/** Reads and checks the header of an open file of `size` bytes. Throws `CheckpointError` naming file and tensor. */
export function readHeader(file: number, size: number, path: string): Header {
  if (size < 8) throw new CheckpointError(`${path} is truncated: ${size} bytes, expected at least 8`);
  const start = Buffer.from(readExactly(file, 0, Math.min(size, 64), path));
  const length = start.readBigUInt64LE();
  if (length > MAX_JSON_BYTES) {
    const pointer = start.toString("latin1").startsWith("version https://git-lfs");
    throw new CheckpointError(
      `${path} is not a safetensors file: its header would be ${length} bytes, expected at most ${MAX_JSON_BYTES}`,
      pointer ? { hint: "It is a Git LFS pointer, not the weights. Run: git lfs pull" } : {},
    );
  }
  const dataStart = 8 + Number(length);
  if (dataStart > size) {
    throw new CheckpointError(`${path} is truncated: header promises ${dataStart} bytes, file has ${size}`);
  }
  const text = readExactly(file, 8, Number(length), path);
  const { __metadata__: metadata, ...tensors } = parseJsonObject(text, `${path}: the header`, 3);
  const entries = Object.entries(tensors)
    .map(([name, value]) => [name, entryOf(value, dataStart, `${path}: tensor ${show(name)}`)] as const)
    .sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  checkLayout(entries, dataStart, size, path);
  return { metadata: metadataOf(metadata, path), entries: new Map(entries) };
}

function metadataOf(value: unknown, path: string): Record<string, string> {
  if (value === undefined) return {};
  if (!isObject(value) || Object.values(value).some((entry) => typeof entry !== "string")) {
    throw new CheckpointError(
      `${path}: __metadata__ is ${show(value)}, expected an object whose values are text`,
    );
  }
  return value as Record<string, string>;
}

function entryOf(value: unknown, dataStart: number, what: string): Entry {
  if (!isObject(value)) {
    throw new CheckpointError(`${what} is ${show(value)}, expected dtype, shape and data_offsets`);
  }
  const { dtype: code, shape, data_offsets: offsets } = value;
  if (typeof code !== "string") {
    throw new CheckpointError(`${what}: dtype is ${show(code)}, expected text such as "F32"`);
  }
  if (!isSizes(shape)) {
    throw new CheckpointError(`${what}: shape is ${show(shape)}, expected whole numbers of at least 0`);
  }
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw new CheckpointError(`${what}: data_offsets is ${show(offsets)}, expected [begin, end]`);
  }
  const [begin, end] = offsets as [number, number];
  const dtype = DTYPES.get(code);
  const size = dtype === undefined ? 1 : BYTES[dtype];
  // Zero sizes count as one here: strides must not overflow either.
  if (!Number.isSafeInteger(shape.reduce((product, length) => product * Math.max(length, 1), size))) {
    throw new CheckpointError(`${what}: shape ${show(shape)} has more than 2^53 bytes`);
  }
  const bytes = shape.reduce((product, length) => product * length, size);
  if (dtype !== undefined && bytes !== end - begin) {
    throw new CheckpointError(
      `${what}: data_offsets ${show(offsets)} hold ${end - begin} bytes, expected ${bytes} for ${code} ${show(shape)}`,
    );
  }
  return { code, dtype, shape, begin: dataStart + begin, end: dataStart + end };
}

const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((entry) => Number.isSafeInteger(entry) && entry >= 0);

/** The data of all tensors covers the rest of the file: no overlap, no hole, nothing after it. */
function checkLayout(
  entries: readonly (readonly [string, Entry])[],
  dataStart: number,
  size: number,
  path: string,
): void {
  let position = dataStart;
  let previous = "the header";
  for (const [name, { begin, end }] of entries) {
    if (begin !== position) {
      throw new CheckpointError(
        `${path}: tensor ${show(name)} begins at byte ${begin} of the file, expected ${position}, where ${previous} ends: ` +
          (begin < position ? "they overlap" : "there is a hole between them"),
      );
    }
    position = end;
    previous = show(name);
  }
  if (position > size) {
    throw new CheckpointError(`${path} is truncated: header promises ${position} bytes, file has ${size}`, {
      hint: "The download or copy was cut off. Fetch the file again.",
    });
  }
  if (position < size) {
    throw new CheckpointError(
      `${path}: header promises ${position} bytes, file has ${size}: ${size - position} too many`,
    );
  }
}

/** A reader of GGUF files written from the format's description alone, to check what the writer writes. */
import { readFileSync } from "node:fs";

export interface GgufTensor {
  /** In the format's order: the first one lies together. */
  readonly dimensions: readonly number[];
  readonly type: number;
  /** Absolute place in the file. */
  readonly begin: number;
  readonly values: readonly number[];
}

export interface Gguf {
  readonly version: number;
  readonly values: Readonly<Record<string, unknown>>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  /** Where the data begins and the file ends. */
  readonly dataStart: number;
  readonly size: number;
}

export function readGguf(path: string): Gguf {
  const file = readFileSync(path);
  let at = 0;
  const take = <T>(size: number, read: (offset: number) => T): T => {
    const value = read(at);
    at += size;
    return value;
  };
  const uint32 = () => take(4, (offset) => file.readUInt32LE(offset));
  const uint64 = () => take(8, (offset) => Number(file.readBigUInt64LE(offset)));
  const text = (): string => {
    const length = uint64();
    return take(length, (offset) => file.toString("utf8", offset, offset + length));
  };
  const value = (type: number): unknown => {
    switch (type) {
      case 4:
        return uint32();
      case 6:
        return take(4, (offset) => file.readFloatLE(offset));
      case 8:
        return text();
      case 9: {
        const inner = uint32();
        const length = uint64();
        return Array.from({ length }, () => value(inner));
      }
      default:
        throw new Error(`value type ${type}`);
    }
  };

  if (file.toString("latin1", 0, 4) !== "GGUF") throw new Error("no GGUF file");
  at = 4;
  const version = uint32();
  const [tensorCount, valueCount] = [uint64(), uint64()];
  const values: Record<string, unknown> = {};
  for (let k = 0; k < valueCount; k++) values[text()] = value(uint32());
  const infos = Array.from({ length: tensorCount }, () => {
    const name = text();
    const dimensions = Array.from({ length: uint32() }, uint64);
    return { name, dimensions, type: uint32(), offset: uint64() };
  });
  const alignment = Number(values["general.alignment"] ?? 32);
  const dataStart = Math.ceil(at / alignment) * alignment;
  const tensors = infos.map(({ name, dimensions, type, offset }) => {
    if (offset % alignment !== 0) throw new Error(`${name} begins at ${offset}`);
    const begin = dataStart + offset;
    const count = dimensions.reduce((product, each) => product * each, 1);
    const read = (index: number): number =>
      type === 0 ? file.readFloatLE(begin + 4 * index) : half(file.readUInt16LE(begin + 2 * index));
    return [
      name,
      { dimensions, type, begin, values: Array.from({ length: count }, (_, k) => read(k)) },
    ] as const;
  });
  return { version, values, tensors: new Map(tensors), dataStart, size: file.length };
}

function half(bits: number): number {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (exponent === 0 ? fraction / 2 ** 24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

/**
 * Reads TensorBoard event files from the description of their formats, sharing no code with the writer: TFRecord frames
 * with checksums computed bit by bit, and protocol buffers decoded without a schema. Like TensorBoard, it reads files in the
 * order of their names and forgets what lies behind a restart.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface ReadScalar {
  readonly step: number;
  readonly value: number;
  /** Seconds since 1970. */
  readonly time: number;
}

interface ReadEvent {
  readonly time: number;
  readonly step: number;
  readonly version: string | null;
  readonly restarted: boolean;
  readonly scalars: readonly (ReadScalar & { readonly tag: string })[];
  readonly texts: readonly { readonly tag: string; readonly text: string }[];
}

export function readEventFiles(folder: string) {
  const files = readdirSync(folder)
    .sort()
    .map((name) => {
      if (!name.includes("tfevents")) throw new Error(`${name} is no event file`);
      return { name, events: frames(readFileSync(join(folder, name))).map(eventOf) };
    });
  let kept: ReadEvent[] = [];
  for (const event of files.flatMap(({ events }) => events)) {
    if (event.restarted) kept = kept.filter(({ step }) => step < event.step);
    kept.push(event);
  }
  return {
    files,
    scalars: (tag: string): ReadScalar[] =>
      kept.flatMap(({ scalars }) =>
        scalars.filter((each) => each.tag === tag).map(({ step, value, time }) => ({ step, value, time })),
      ),
    texts: (tag: string): string[] =>
      kept.flatMap(({ texts }) => texts.filter((each) => each.tag === tag).map(({ text }) => text)),
  };
}

/** A division by the polynomial, one bit at a time, unreflected: bits of bytes and of the result are turned round. */
function slowCrc32c(bytes: Uint8Array): number {
  const polynomial = 0x1edc6f41n;
  let rest = 0xffffffffn;
  for (const byte of bytes) {
    for (let bit = 0; bit < 8; bit++) {
      const top = (rest >> 31n) & 1n;
      rest = (rest << 1n) & 0xffffffffn;
      if (top !== BigInt((byte >> bit) & 1)) rest ^= polynomial;
    }
  }
  let turned = 0n;
  for (let bit = 0n; bit < 32n; bit++) turned |= ((rest >> bit) & 1n) << (31n - bit);
  return Number(turned ^ 0xffffffffn);
}

/** Undoes the mask: subtract the constant, rotate left by 15. */
function unmasked(value: number): number {
  const rotated = (BigInt(value) - 0xa282ead8n + 0x100000000n) % 0x100000000n;
  return Number(((rotated << 15n) | (rotated >> 17n)) & 0xffffffffn);
}

function frames(file: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < file.length; ) {
    if (at + 12 > file.length) throw new Error(`a frame's length is cut at ${at}`);
    const length = Number(file.readBigUInt64LE(at));
    if (slowCrc32c(file.subarray(at, at + 8)) !== unmasked(file.readUInt32LE(at + 8))) {
      throw new Error(`wrong checksum of a length at ${at}`);
    }
    const data = file.subarray(at + 12, at + 12 + length);
    if (slowCrc32c(data) !== unmasked(file.readUInt32LE(at + 12 + length))) {
      throw new Error(`wrong checksum of data at ${at}`);
    }
    found.push(data);
    at += 16 + length;
  }
  return found;
}

type Field = { readonly wire: number; readonly integer: bigint; readonly bytes: Buffer };

/** Every field of a message, by number, in order. */
function fieldsOf(message: Buffer): Map<number, Field[]> {
  const fields = new Map<number, Field[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const wire = Number(tag & 7n);
    let field: Field;
    if (wire === 0) field = { wire, integer: varint(), bytes: Buffer.alloc(0) };
    else {
      const length = wire === 1 ? 8 : wire === 5 ? 4 : wire === 2 ? Number(varint()) : Number.NaN;
      if (!(at + length <= message.length)) throw new Error(`field ${tag >> 3n} runs over the end`);
      field = { wire, integer: 0n, bytes: message.subarray(at, at + length) };
      at += length;
    }
    const number = Number(tag >> 3n);
    fields.set(number, [...(fields.get(number) ?? []), field]);
  }
  return fields;
}

function eventOf(message: Buffer): ReadEvent {
  const fields = fieldsOf(message);
  const one = (number: number) => fields.get(number)?.[0];
  const time = one(1)!.bytes.readDoubleLE();
  const step = Number(one(2)?.integer ?? 0n);
  const values = (fields.get(5) ?? []).flatMap(({ bytes }) => fieldsOf(bytes).get(1) ?? []);
  const scalars: (ReadScalar & { tag: string })[] = [];
  const texts: { tag: string; text: string }[] = [];
  for (const { bytes } of values) {
    const value = fieldsOf(bytes);
    const tag = value.get(1)![0]!.bytes.toString("utf8");
    const simple = value.get(2)?.[0];
    if (simple) scalars.push({ tag, step, time, value: simple.bytes.readFloatLE() });
    const tensor = value.get(8)?.[0];
    if (!tensor) continue;
    const plugin = fieldsOf(fieldsOf(value.get(9)![0]!.bytes).get(1)![0]!.bytes);
    if (plugin.get(1)![0]!.bytes.toString() !== "text") throw new Error(`${tag} is a tensor and no text`);
    const parts = fieldsOf(tensor.bytes);
    if (parts.get(1)![0]!.integer !== 7n) throw new Error(`${tag} holds no strings`);
    for (const each of parts.get(8) ?? []) texts.push({ tag, text: each.bytes.toString("utf8") });
  }
  const log = one(7);
  return {
    time,
    step,
    version: one(3)?.bytes.toString() ?? null,
    restarted: log !== undefined && fieldsOf(log.bytes).get(1)?.[0]?.integer === 1n,
    scalars,
    texts,
  };
}

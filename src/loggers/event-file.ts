/**
 * Records of a TensorBoard event file: TFRecord frames (length, masked CRC-32C of the length, data, masked CRC-32C of the
 * data; little-endian) around protocol buffers of the message `tensorflow.Event`. Fields by number:
 * Event 1 wall_time (double, seconds), 2 step (int64), 3 file_version, 5 summary, 7 session_log; Summary 1 value;
 * Summary.Value 1 tag, 2 simple_value (float), 8 tensor, 9 metadata; SummaryMetadata 1 plugin_data, whose 1 is plugin_name;
 * TensorProto 1 dtype, 2 tensor_shape, 8 string_val; SessionLog 1 status.
 */
import { crc32c } from "./crc32c.js";

const DATA_TYPE_STRING = 7;
const SESSION_START = 1;

/** One frame. */
export function frame(data: Uint8Array): Buffer {
  const head = Buffer.alloc(12);
  head.writeBigUInt64LE(BigInt(data.length));
  head.writeUInt32LE(masked(crc32c(head.subarray(0, 8))), 8);
  const tail = Buffer.alloc(4);
  tail.writeUInt32LE(masked(crc32c(data)));
  return Buffer.concat([head, data, tail]);
}

/** Rotated and shifted, so that a checksum of data that holds checksums is still one. */
const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;

/** The first event of every file. */
export const versionEvent = (time: number): Buffer => event(time, 0, text(3, "brain.Event:2"));

/** Readers forget what earlier files hold from this step on. */
export const restartEvent = (time: number, step: number): Buffer =>
  event(time, step, message(7, number(1, SESSION_START)));

export interface Scalar {
  readonly tag: string;
  readonly value: number;
}

/** Scalars of one step in one event; values become float32. `time` in ms since 1970. */
export const scalarEvent = (time: number, step: number, scalars: readonly Scalar[]): Buffer =>
  event(
    time,
    step,
    message(5, ...scalars.map(({ tag, value }) => message(1, text(1, tag), float(2, value)))),
  );

/** A text, shown as Markdown. */
export const textEvent = (time: number, step: number, tag: string, content: string): Buffer =>
  event(
    time,
    step,
    message(
      5,
      message(
        1,
        text(1, tag),
        message(8, number(1, DATA_TYPE_STRING), message(2, message(2, number(1, 1))), text(8, content)),
        message(9, message(1, text(1, "text"))),
      ),
    ),
  );

const event = (time: number, step: number, what: Buffer): Buffer =>
  Buffer.concat([double(1, time / 1000), number(2, step), what]);

enum Wire {
  varint = 0,
  eightBytes = 1,
  delimited = 2,
  fourBytes = 5,
}

const key = (field: number, wire: Wire): Buffer => varint((field << 3) | wire);

/** A whole number from 0 to 2^53, seven bits a byte, lowest first. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Buffer.from([...bytes, rest]);
}

const number = (field: number, value: number): Buffer =>
  Buffer.concat([key(field, Wire.varint), varint(value)]);

function double(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([key(field, Wire.eightBytes), bytes]);
}

function float(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([key(field, Wire.fourBytes), bytes]);
}

const delimited = (field: number, bytes: Buffer): Buffer =>
  Buffer.concat([key(field, Wire.delimited), varint(bytes.length), bytes]);

const text = (field: number, value: string): Buffer => delimited(field, Buffer.from(value));

const message = (field: number, ...parts: readonly Buffer[]): Buffer =>
  delimited(field, Buffer.concat(parts));

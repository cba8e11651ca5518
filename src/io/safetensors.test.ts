import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, it } from "vitest";
import { CheckpointError } from "../errors.js";
import { tensor } from "../tensor/create.js";
import { BYTES, type DType } from "../tensor/dtype.js";
import { guarded } from "../tensor/native.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import { Tensor } from "../tensor/tensor.js";
import { assertFinite, SafetensorsFile, writeSafetensors } from "./safetensors.js";

const folder = mkdtempSync(join(tmpdir(), "nlora-safetensors-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "x.safetensors");

const DTYPES = Object.keys(BYTES) as DType[];
const CODES = ["F32", "BF16", "F16", "F64", "I64", "I32", "U8", "BOOL"];

/** A file with the given header text or object and data; `length` to lie about the header's length. */
function file(header: unknown, data: Uint8Array | number = 0, length?: bigint): Buffer {
  const text = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(length ?? BigInt(text.length));
  return Buffer.concat([start, text, typeof data === "number" ? Buffer.alloc(data) : data]);
}

const failure = (bytes: Uint8Array): string => {
  writeFileSync(path, bytes);
  try {
    SafetensorsFile.open(path);
  } catch (error) {
    expect(error).toBeInstanceOf(CheckpointError);
    return (error as Error).message;
  }
  return "opened";
};

const at = (begin: number, end: number, shape: unknown = [end - begin], dtype: unknown = "U8"): object => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

const random = (dtype: DType, shape: readonly number[], bytes: Uint8Array): Tensor => {
  const size = shape.reduce((product, length) => product * length, 1) * BYTES[dtype];
  const data = Uint8Array.from(
    { length: size },
    (_, i) => (bytes[i % bytes.length] ?? 7) % (dtype === "bool" ? 2 : 256),
  );
  return new Tensor(guarded((engine) => engine.fromBytes(data, dtype, shape)));
};

it("gives back names, metadata, shapes, types and bytes of whatever was written", () => {
  const name = fc.oneof(
    fc.string({ unit: "binary", maxLength: 12 }),
    fc.constantFrom("__proto__", "7", "constructor"),
  );
  const one = fc.record({
    name: name.filter((value) => value !== "__metadata__"),
    dtype: fc.constantFrom(...DTYPES),
    shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
  });
  const all = fc.uniqueArray(one, { selector: (entry) => entry.name, maxLength: 8 });
  fc.assert(
    fc.property(all, fc.dictionary(name, fc.string({ unit: "binary" })), (entries, metadata) => {
      tidy(() => {
        const tensors = entries.map((e) => [e.name, random(e.dtype, e.shape, e.bytes)] as const);
        writeSafetensors(path, tensors, metadata);
        expect(readFileSync(path).readBigUInt64LE() % 64n).toBe(56n);
        const opened = SafetensorsFile.open(path);
        expect(Object.entries(opened.metadata).sort()).toEqual(Object.entries(metadata).sort());
        expect([...opened.names].sort()).toEqual(entries.map((e) => e.name).sort());
        for (const [key, value] of tensors) {
          const read = opened.tensor(key);
          expect([read.dtype, read.shape]).toEqual([value.dtype, value.shape]);
          expect(Buffer.compare(read.toBytes(), value.toBytes())).toBe(0);
        }
      });
    }),
    { numRuns: 150 },
  );
});

it("maps the file: tensors read twice share memory, and writing to one leaves the file as it is", () => {
  tidy(() => {
    writeSafetensors(path, [["w", tensor([1, 2, 3, 4], [2, 2])]]);
    const before = readFileSync(path);
    const opened = SafetensorsFile.open(path);
    const first = opened.tensor("w");
    first.fill_(9);
    expect(opened.tensor("w").toArray()).toEqual([9, 9, 9, 9]);
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(SafetensorsFile.open(path).tensor("w").toArray()).toEqual([1, 2, 3, 4]);
  });
});

it("reads tensors at addresses that are no multiple of their size", () => {
  const data = Buffer.alloc(1 + 8);
  data.writeFloatLE(1.5, 1);
  data.writeFloatLE(-2, 5);
  const header = { byte: at(0, 1), w: at(1, 9, [2], "F32") };
  writeFileSync(path, file(header, data));
  tidy(() => expect(SafetensorsFile.open(path).tensor("w").toArray()).toEqual([1.5, -2]));
});

it("refuses headers that lie, each with what was found and expected", () => {
  expect(failure(Buffer.alloc(3))).toMatch(/truncated: 3 bytes/);
  expect(failure(file("{}", 0, 2n ** 63n))).toMatch(/header would be 9223372036854775808 bytes/);
  expect(failure(file("{}", 0, 100_000_001n))).toMatch(/expected at most 100000000/);
  expect(failure(file("{}", 0, 50n))).toMatch(/truncated: header promises 58 bytes, file has 10/);
  expect(failure(file("[]"))).toMatch(/expected a JSON object, found a list/);
  expect(failure(file('{"a":1'))).toMatch(/not valid JSON/);
  expect(failure(file("[".repeat(10_000)))).toMatch(/nested deeper/);
  expect(failure(Buffer.concat([file("", 0, 3n), Buffer.from([0x7b, 0xff, 0x7d])]))).toMatch(/UTF-8/);
  const twice = JSON.stringify(at(0, 1));
  expect(failure(file(`{"a":${twice},"\\u0061":${twice}}`, 1))).toMatch(/key "a" occurs twice/);
  expect(failure(file({ a: 3 }))).toMatch(/tensor "a" is 3/);
  expect(failure(file({ a: at(0, 4, [4], 7) }, 4))).toMatch(/dtype is 7/);
  expect(failure(file({ a: at(0, 4, [-4]) }, 4))).toMatch(/shape is \[-4\]/);
  expect(failure(file({ a: at(0, 4, [1.5]) }, 4))).toMatch(/shape is \[1.5\]/);
  expect(failure(file({ a: at(0, 4, "4") }, 4))).toMatch(/shape is "4"/);
  expect(failure(file({ a: at(4, 0, [0]) }, 4))).toMatch(/data_offsets is \[4,0\]/);
  expect(failure(file({ a: at(0, 2 ** 53, [1]) }, 4))).toMatch(/data_offsets is/);
  expect(failure(file({ a: at(0, 4, [2], "F32") }, 4))).toMatch(/hold 4 bytes, expected 8 for F32 \[2\]/);
  expect(failure(file({ a: at(0, 0, [2 ** 40, 2 ** 40]) }))).toMatch(/more than 2\^53 bytes/);
  expect(failure(file({ a: at(0, 0, [0, 2 ** 40, 2 ** 40]) }))).toMatch(/more than 2\^53 bytes/);
  expect(failure(file({ a: at(0, 4), b: at(3, 6) }, 6))).toMatch(
    /"b" begins at byte .* "a" ends: they overlap/,
  );
  expect(failure(file({ a: at(0, 4), b: at(5, 6) }, 6))).toMatch(/"b" begins at byte .* there is a hole/);
  expect(failure(file({ a: at(1, 4) }, 4))).toMatch(/the header ends: there is a hole/);
  expect(failure(file({ a: at(0, 4) }, 6))).toMatch(/2 too many/);
  expect(failure(file({ __metadata__: { a: 1 } }))).toMatch(/__metadata__ is {"a":1}/);
  expect(
    failure(Buffer.from(`version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\n`)),
  ).toMatch(/not a safetensors file/);
});

it("says of a file that was cut off how many bytes are missing", () => {
  tidy(() => writeSafetensors(path, [["w", tensor([1, 2, 3, 4], [4])]]));
  const size = readFileSync(path).length;
  truncateSync(path, size - 3);
  expect(() => SafetensorsFile.open(path)).toThrow(
    `${path} is truncated: header promises ${size} bytes, file has ${size - 3}`,
  );
});

it("lists tensors of unknown element types and refuses to read them only when they are used", () => {
  writeFileSync(path, file({ a: at(0, 4, [4], "F8_E4M3"), b: at(4, 5) }, 5));
  const opened = SafetensorsFile.open(path);
  expect([...opened.unsupported]).toEqual([["a", "F8_E4M3"]]);
  tidy(() => expect(opened.tensor("b").toArray()).toEqual([0]));
  expect(() => opened.tensor("a")).toThrow(/tensor "a" has dtype "F8_E4M3", expected one of F32/);
  expect(() => opened.tensor("c")).toThrow(/no tensor "c"/);
});

it("refuses a folder, a named pipe, a missing file and a file that was replaced after it was opened", () => {
  expect(() => SafetensorsFile.open(folder)).toThrow(/expected a file, found a folder/);
  execFileSync("mkfifo", [join(folder, "pipe")]);
  expect(() => SafetensorsFile.open(join(folder, "pipe"))).toThrow(/expected a file/);
  expect(() => SafetensorsFile.open(join(folder, "none"))).toThrow(/none does not exist/);
  tidy(() => {
    writeSafetensors(path, [["w", tensor([1, 2], [2])]]);
    const opened = SafetensorsFile.open(path);
    writeSafetensors(path, [["w", tensor([3, 4], [2])]]);
    expect(() => opened.tensor("w")).toThrow(/changed after it was opened/);
  });
});

it("refuses booleans that are neither 0 nor 1", () => {
  writeFileSync(path, file({ a: at(0, 2, [2], "BOOL") }, Buffer.from([1, 2])));
  const before = liveTensors();
  expect(() => SafetensorsFile.open(path).tensor("a")).toThrow(/holds the byte 2/);
  expect(liveTensors()).toBe(before);
});

it("counts NaN and infinity", () => {
  tidy(() => {
    expect(() => assertFinite(tensor([1, Number.NaN, -Infinity], [3]), "w", "f")).toThrow(
      'f: tensor "w" holds 2 values that are NaN or infinite (of 3)',
    );
    expect(() => assertFinite(tensor([1, Infinity], [2], "bfloat16"), "w", "f")).toThrow(/holds 1/);
    assertFinite(tensor([1, 2], [2], "int64"), "w", "f");
    assertFinite(tensor([], [0]), "w", "f");
  });
});

it("leaves the old file and nothing else when writing fails", () => {
  const target = join(folder, "write");
  mkdirSync(target);
  const name = join(target, "a.safetensors");
  tidy(() => {
    const w = tensor([1], [1]);
    writeSafetensors(name, [["w", w]]);
    const before = readFileSync(name);
    const released = tensor([1], [1]);
    expect([released.shape, released.dtype]).toEqual([[1], "float32"]);
    released.dispose();
    expect(() =>
      writeSafetensors(name, [
        ["w", w],
        ["x", released],
      ]),
    ).toThrow();
    expect(() =>
      writeSafetensors(name, [
        ["w", w],
        ["w", w],
      ]),
    ).toThrow(/name "w" is taken/);
    expect(() => writeSafetensors(join(name, "below"), [["w", w]])).toThrow(CheckpointError);
    expect(readdirSync(target)).toEqual(["a.safetensors"]);
    expect(readFileSync(name).equals(before)).toBe(true);
  });
});

it("opens a damaged file exactly as its header reads, or refuses it with a CheckpointError", () => {
  const valid = tidy(() => {
    const entries = DTYPES.map(
      (dtype, i) => [`m.${i}.weight`, random(dtype, [2, i], Uint8Array.of(1, 2, 3))] as const,
    );
    writeSafetensors(path, entries, { format: "pt" });
    return readFileSync(path);
  });
  const headerEnd = 8 + Number(valid.readBigUInt64LE());
  const inHeader = fc.oneof(fc.nat(7), fc.integer({ min: 8, max: headerEnd - 1 }));
  const inData = fc.integer({ min: headerEnd, max: valid.length - 1 });
  const piece = fc.constantFrom(
    "9",
    "-1",
    "1e999",
    "[",
    "{}",
    "null",
    '"',
    "\\",
    "shape",
    ",",
    "F8",
    "U8",
    "\u0000",
    "__proto__",
  );
  const damage = fc.oneof(
    fc.tuple(fc.oneof(inHeader, inData), fc.nat(255)).map(([where, byte]) => (bytes: Buffer) => {
      bytes[where] = byte;
      return bytes;
    }),
    fc.nat(valid.length).map((length) => (bytes: Buffer) => bytes.subarray(0, length)),
    fc
      .uint8Array({ minLength: 1, maxLength: 9 })
      .map((more) => (bytes: Buffer) => Buffer.concat([bytes, more])),
    fc.tuple(fc.nat(), fc.nat(4), piece).map(([where, drop, text]) => (bytes: Buffer) => {
      const header = bytes.subarray(8, headerEnd).toString().trimEnd();
      const begin = where % header.length;
      return file(header.slice(0, begin) + text + header.slice(begin + drop), bytes.subarray(headerEnd));
    }),
    fc.tuple(fc.nat(), fc.nat(2 ** 31)).map(([which, number]) => (bytes: Buffer) => {
      const header = bytes.subarray(8, headerEnd).toString();
      const numbers = [...header.matchAll(/\d+/g)];
      const { index, 0: digits } = numbers[which % numbers.length]!;
      return file(
        header.slice(0, index) + number + header.slice(index + digits.length),
        bytes.subarray(headerEnd),
      );
    }),
  );
  let opened = 0;
  let refused = 0;
  fc.assert(
    fc.property(fc.array(damage, { minLength: 1, maxLength: 2 }), (damages) => {
      const bytes = damages.reduce<Buffer>(
        (all, act) => (all.length < headerEnd ? all : act(all)),
        Buffer.from(valid),
      );
      writeFileSync(path, bytes);
      tidy(() => {
        let read: SafetensorsFile;
        try {
          read = SafetensorsFile.open(path);
        } catch (error) {
          if (!(error instanceof CheckpointError)) throw error;
          refused++;
          return;
        }
        opened++;
        const start = 8 + Number(bytes.readBigUInt64LE());
        const { __metadata__: _, ...header } = JSON.parse(bytes.subarray(8, start).toString()) as Record<
          string,
          { dtype: string; shape: number[]; data_offsets: [number, number] }
        >;
        expect([...read.names].sort()).toEqual(Object.keys(header).sort());
        for (const [name, entry] of Object.entries(header)) {
          try {
            const value = read.tensor(name);
            expect(CODES).toContain(entry.dtype);
            expect(value.shape).toEqual(entry.shape);
            const [begin, end] = entry.data_offsets;
            expect(Buffer.compare(value.toBytes(), bytes.subarray(start + begin, start + end))).toBe(0);
          } catch (error) {
            if (!(error instanceof CheckpointError)) throw error;
          }
        }
      });
    }),
    { numRuns: 600 },
  );
  expect(opened).toBeGreaterThan(20);
  expect(refused).toBeGreaterThan(100);
});

it.skipIf(process.platform !== "linux")(
  "lets a tensor's pages leave memory, and reads them again when they are touched",
  () => {
    const large = join(folder, "large.safetensors");
    const size = 2 ** 19;
    tidy(() => {
      const values = Float32Array.from({ length: size }, (_, i) => i % 1000);
      writeSafetensors(large, [
        ["first", tensor([1, 2, 3], [3])],
        ["large", tensor(values, [size])],
        ["last", tensor([4, 5, 6], [3])],
      ]);
    });
    /** Bytes of the mapped file that this process holds in memory. */
    const held = () => {
      const maps = readFileSync("/proc/self/smaps", "utf8");
      return Number(maps.match(new RegExp(`${large}\n(?:.*\n)*?Rss:\\s+(\\d+) kB`))![1]) * 1024;
    };
    tidy(() => {
      const opened = SafetensorsFile.open(large);
      const [first, middle, last] = ["first", "large", "last"].map((name) => opened.tensor(name)) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      const total = middle.sum().item();
      expect(held()).toBeGreaterThan(4 * size - 2 ** 16);
      opened.release("large");
      expect(held()).toBeLessThan(2 ** 17);
      expect(middle.sum().item()).toBe(total);
      expect([...first.toArray(), ...last.toArray()]).toEqual([1, 2, 3, 4, 5, 6]);
      opened.release("first");
      expect(first.toArray()).toEqual([1, 2, 3]);
    });
  },
);

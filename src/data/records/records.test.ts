import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { packageRoot } from "../../tensor/native.js";
import { dataFilesIn, openTables } from "./open.js";
import type { DataRecord } from "./record.js";

const folder = mkdtempSync(join(tmpdir(), "nlora-records-"));
afterAll(() => rmSync(folder, { recursive: true }));
const fixture = (name: string) => join(packageRoot, "test/fixtures/parquet", name);

function file(name: string, content: string | Buffer): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

async function read(...paths: string[]): Promise<DataRecord[]> {
  const records: DataRecord[] = [];
  for (const table of await openTables(paths)) {
    for await (const batch of table.batches()) records.push(...batch);
  }
  return records;
}

const fieldsOf = async (...paths: string[]) => (await read(...paths)).map(({ fields }) => fields);

describe("JSON Lines", () => {
  test("come back as they were written, whatever the texts are", async () => {
    const text = fc.string({ unit: "grapheme" });
    const row = fc.dictionary(
      fc.string({ minLength: 1 }),
      fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 5 }), async (rows) => {
        const path = file("p.jsonl", rows.map((value) => JSON.stringify(value)).join("\n"));
        expect(JSON.stringify(await fieldsOf(path))).toBe(JSON.stringify(rows));
      }),
      { numRuns: 60 },
    );
  });

  test("a JSON array in a file named .jsonl and lines in a file named .json are told by their first character", async () => {
    expect(await fieldsOf(file("a.jsonl", '\n[{"a": 1}]'))).toEqual([{ a: 1 }]);
    expect(await fieldsOf(file("a.json", '{"a": 1}\n{"a": 2}\n'))).toEqual([{ a: 1 }, { a: 2 }]);
    expect(await fieldsOf(file("rows.txt", '{"a": 1}\n'))).toEqual([{ a: 1 }]);
  });
});

describe("CSV", () => {
  const cell = fc.string({
    unit: fc.constantFrom("a", "ü", '"', ",", ";", "\t", "|", "\n", " ", "'", "\r\n"),
  });
  test("comes back as it was written, whatever the cells and the separator are", async () => {
    const rows = fc.array(fc.tuple(cell, cell, cell), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(
        rows,
        fc.constantFrom(",", ";", "\t", "|"),
        fc.boolean(),
        async (cells, separator, bom) => {
          const quoted = (value: string) => `"${value.replaceAll('"', '""')}"`;
          const lines = [["one", "two", "three"], ...cells].map((values) =>
            values.map(quoted).join(separator),
          );
          const path = file("p.csv", `${bom ? "\uFEFF" : ""}${lines.join("\n")}\n`);
          expect(await fieldsOf(path)).toEqual(cells.map(([one, two, three]) => ({ one, two, three })));
        },
      ),
      { numRuns: 100 },
    );
  });

  test("rows are named by the line on which they begin, quoted line breaks and blank lines counted", async () => {
    const path = file("lines.csv", 'text,label\n"one\r\ntwo",a\n\nthree,b\r\nfour,c');
    expect((await read(path)).map(({ where }) => where)).toEqual(
      [2, 5, 6].map((line) => `${path}, line ${line}`),
    );
  });

  test.each([
    ["a ragged row", "a,b\n1,2\n\n1,2,3\n", /c\.csv, line 4: 3 fields, expected 2 as in the header \(a, b\)/],
    ["a short row", "a,b\n1\n", /line 2: 1 fields, expected 2/],
    [
      "a quote that never ends",
      'a,b\n1,2\n"3,4\n5,6\n',
      /line 3: a quoted field begins in this row and never ends/,
    ],
    [
      "a quote inside a field",
      'a,b\n1,2\nx "y" z,3\n',
      /line 3: a double quote in the middle of a field of this row/,
    ],
    [
      "text after a closing quote",
      'a,b\n"x"y,3\n',
      /line 2: a double quote in the middle of a field of this row/,
    ],
    ["a column twice", "a,b,a\n1,2,3\n", /line 1: the column "a" is in the header twice/],
    ["a column without a name", "a,,c\n1,2,3\n", /line 1: column 2 of the header has no name/],
    ["a single column", "just text\nmore text\n", /line 1: only one column \("just text"\)/],
    ["a header alone", "a,b\n", /c\.csv: the file has no rows/],
    ["nothing", "\n", /c\.csv: the file is empty/],
  ])("with %s is refused with its line", async (_, content, message) => {
    await expect(read(file("c.csv", content))).rejects.toThrowError(
      expect.objectContaining({ code: "data", message: expect.stringMatching(message) }),
    );
  });
});

describe("Parquet", () => {
  test("is read row group by row group and file by file, with the class names of its integers", async () => {
    const paths = [fixture("emotions-0.parquet"), fixture("emotions-1.parquet")];
    const [table] = await openTables(paths);
    expect(table!.classNames.get("label")).toEqual(["sadness", "joy", "anger"]);
    const sizes: number[] = [];
    for await (const batch of table!.batches(["label"])) {
      sizes.push(batch.length);
      expect(batch[0]!.fields).toEqual({ label: expect.anything() });
    }
    expect(sizes).toEqual([2048, 2048, 904]);
    const records = await read(...paths);
    expect(records.length).toBe(5010);
    expect(records[4999]).toEqual({
      fields: { text: "row 4999", label: 1n },
      where: `${paths[0]}, row 5000`,
    });
    expect(records[5000]).toEqual({ fields: { text: "row 5000", label: 2n }, where: `${paths[1]}, row 1` });
  });

  test.each(["uncompressed", "snappy", "gzip", "zstd", "brotli", "lz4_raw"])(
    "compressed with %s",
    async (codec) => {
      const expected = [1, 2, 3].map((n) => ({ input: `größe ${n}`, output: "ab".repeat(n), n: BigInt(n) }));
      expect(await fieldsOf(fixture(`${codec}.parquet`))).toEqual(expected);
    },
  );

  test("that is cut off anywhere gives one error that names the file", async () => {
    const path = join(folder, "cut.parquet");
    const size = readFileSync(fixture("emotions-0.parquet")).length;
    for (const length of [0, 3, 8, 100, size >> 1, size - 1]) {
      copyFileSync(fixture("emotions-0.parquet"), path);
      truncateSync(path, length);
      await expect(read(path)).rejects.toThrowError(
        expect.objectContaining({
          code: "data",
          message: expect.stringMatching(/cut\.parquet: (the file is (empty|cut off)|not a Parquet file)/),
        }),
      );
    }
  });

  test("with damaged bytes gives rows or one DataError, and never another error", async () => {
    const bytes = readFileSync(fixture("zstd.parquet"));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        async (changes) => {
          const damaged = Buffer.from(bytes);
          for (const [at, value] of changes) damaged[at] = value;
          try {
            await read(file("damaged.parquet", damaged));
          } catch (error) {
            expect(error).toMatchObject({
              code: "data",
              message: expect.stringContaining("damaged.parquet"),
            });
            expect((error as Error).message).not.toContain("\n");
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test("with an unknown codec says so", async () => {
    const damaged = readFileSync(fixture("gzip.parquet"));
    // In the footer the codec follows the path of its column: field 4 (0x15), gzip is 2 and written as 4.
    const path = Buffer.from([0x19, 0x18, 5, ...Buffer.from("input"), 0x15, 4]);
    damaged[damaged.indexOf(path) + path.length - 1] = 40;
    await expect(read(file("codec.parquet", damaged))).rejects.toThrowError(
      /codec\.parquet: cannot read column input of row group 1: parquet unsupported compression codec/,
    );
  });
});

describe("files", () => {
  test("any bytes under any name give rows or one line of error that names the file", async () => {
    const seeds = [
      '[{"a": "x"},\n{"a": 1}]',
      '{"a": "x"}\n{"b": null}\n',
      'a,b\n"x ""y""",2\n',
      "PAR1",
      "",
    ].map((text) => [...Buffer.from(text)]);
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((values) => [...values]),
      fc
        .tuple(
          fc.constantFrom(...seeds),
          fc.nat(30),
          fc.array(fc.constantFrom(...Buffer.from('"{}[],\n\r:;\t\\x')), { maxLength: 3 }),
        )
        .map(([seed, at, inserted]) => [...seed.slice(0, at), ...inserted, ...seed.slice(at)]),
    );
    const extension = fc.constantFrom("json", "jsonl", "csv", "tsv", "parquet", "txt", "csv.gz");
    await fc.assert(
      fc.asyncProperty(bytes, extension, async (content, name) => {
        const path = file(
          `any.${name}`,
          name.endsWith("gz") ? gzipSync(Buffer.from(content)) : Buffer.from(content),
        );
        try {
          expect(Array.isArray(await read(path))).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({
            code: "data",
            message: expect.stringMatching(/^[^\n]*any\.[^\n]*$/),
          });
        }
      }),
      { numRuns: 400 },
    );
  });

  test("a name that ends with .gz is unzipped, and damage to it is reported", async () => {
    const zipped = gzipSync('{"a": "x"}\n');
    expect(await fieldsOf(file("a.jsonl.gz", zipped))).toEqual([{ a: "x" }]);
    expect(await fieldsOf(file("b.csv.gz", gzipSync("a,b\n1,2\n")))).toEqual([{ a: "1", b: "2" }]);
    await expect(read(file("c.jsonl.gz", zipped.subarray(0, -6)))).rejects.toThrowError(
      /c\.jsonl\.gz: cannot be unzipped/,
    );
    await expect(read(file("d.jsonl.gz", '{"a": "x"}'))).rejects.toThrowError(
      /not gzip, in spite of its name/,
    );
  });

  test("a folder has its data files in the order of their names; files of one split have one format", async () => {
    const nested = join(folder, "many");
    mkdirSync(join(nested, "sub"), { recursive: true });
    writeFileSync(join(nested, "b.jsonl"), '{"a": 2}');
    writeFileSync(join(nested, "a.jsonl"), '{"a": 1}');
    writeFileSync(join(nested, "sub", "c.jsonl"), '{"a": 3}');
    writeFileSync(join(nested, "README.md"), "not data");
    writeFileSync(join(nested, ".hidden.jsonl"), "not read");
    expect(dataFilesIn(nested)).toEqual(["a.jsonl", "b.jsonl", "sub/c.jsonl"]);
    mkdirSync(join(folder, "none"));
    expect(() => dataFilesIn(join(folder, "none"))).toThrowError(/none: the folder has no data files/);
    await expect(read(join(nested, "a.jsonl"), file("x.csv", "a,b\n1,2\n"))).rejects.toThrowError(
      /x\.csv: csv, expected jsonl as in .*a\.jsonl/,
    );
  });

  test.each([
    ["a missing file", "nowhere.csv", undefined, /nowhere\.csv: no such file/],
    ["an unknown kind", "notes.txt", "Dear diary", /notes\.txt: unknown kind of data file/],
    ["an empty file of no kind", "empty", "", /empty: the file is empty/],
    [
      "UTF-16",
      "wide.csv",
      Buffer.from("\uFEFFa,b\n1,2\n", "utf16le"),
      /wide\.csv, line 1: not valid UTF-8; the file is UTF-16/,
    ],
    [
      "Latin-1",
      "latin.csv",
      Buffer.from("a,b\n1,2\ngröße,3\n", "latin1"),
      /latin\.csv, line 3: not valid UTF-8/,
    ],
    [
      "a Parquet name on something else",
      "fake.parquet",
      "text, not Parquet",
      /fake\.parquet: not a Parquet file/,
    ],
  ])("%s is refused", async (_, name, content, message) => {
    if (content !== undefined) file(name, content);
    await expect(read(join(folder, name))).rejects.toThrowError(message);
  });
});

// Writes the Parquet files under test/fixtures, with DuckDB: a writer that has nothing to do with the reader under test.
// By hand only:  cd /somewhere && npm install @duckdb/node-api@1.5 && node <repository>/tools/golden/parquet.mjs
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const { DuckDBInstance } = createRequire(join(process.cwd(), "here.js"))("@duckdb/node-api");
const fixtures = join(dirname(fileURLToPath(import.meta.url)), "../../test/fixtures");
const database = await (await DuckDBInstance.create(":memory:")).connect();

const literal = (value) => {
  if (value === null) return "null";
  if (typeof value === "string") return `'${value.replaceAll("'", "''")}'`;
  return String(value);
};

/** Writes what a query gives; `features` as the datasets library stores them. */
async function write(path, query, options = "", features = undefined) {
  mkdirSync(dirname(join(fixtures, path)), { recursive: true });
  const stored =
    features && `, kv_metadata {huggingface: ${literal(JSON.stringify({ info: { features } }))}}`;
  await database.run(
    `copy (${query}) to ${literal(join(fixtures, path))} (format parquet ${options}${stored ?? ""})`,
  );
}

const classLabel = (...names) => ({ names, _type: "ClassLabel" });
const label = { text: { dtype: "string", _type: "Value" }, label: classLabel("sadness", "joy", "anger") };

// Several row groups in each of two files: row i is "row i", its label i modulo 3.
const rows = (from, to) => `select 'row ' || i as text, i % 3 as label from range(${from}, ${to}) r(i)`;
await write("parquet/emotions-0.parquet", rows(0, 5000), ", row_group_size 2048, compression zstd", label);
await write("parquet/emotions-1.parquet", rows(5000, 5010), ", compression zstd", label);

for (const codec of ["uncompressed", "snappy", "gzip", "zstd", "brotli", "lz4_raw"]) {
  await write(
    `parquet/${codec}.parquet`,
    "select 'größe ' || i as input, repeat('ab', i::integer) as output, i as n from range(1, 4) r(i)",
    `, compression ${codec}`,
  );
}

const turn = (role, content) => `{'role': ${literal(role)}, 'content': ${literal(content)}}`;
const chat = [
  turn("user", "What is 2 + 2?"),
  turn("assistant", "4"),
  turn("user", "And 3 + 3?"),
  turn("assistant", "6"),
];
await write("parquet/chat.parquet", `select 1 as id, [${chat.join(", ")}] as messages`);
await write(
  "parquet/nulls.parquet",
  "select * from (values ('a', 'b'), (null, 'c'), ('d', null)) t(input, output)",
);

// The fifteen datasets as the hub has them, from rows.json; the second row is the test split.
const datasets = JSON.parse(readFileSync(join(fixtures, "hub-benchmark/rows.json"), "utf8"));
for (const { train, test, classNames, rows: hubRows } of Object.values(datasets)) {
  for (const [path, row] of [
    [train, hubRows[0]],
    [test, hubRows[1]],
  ]) {
    const file = join("hub-benchmark", path);
    if (path.endsWith(".jsonl")) {
      mkdirSync(dirname(join(fixtures, file)), { recursive: true });
      writeFileSync(join(fixtures, file), `${JSON.stringify(row)}\n`);
      continue;
    }
    const values = Object.entries(row).map(([column, value]) => `${literal(value)} as ${column}`);
    const features = Object.fromEntries(
      Object.entries(classNames).map(([column, names]) => [column, classLabel(...names)]),
    );
    await write(file, `select ${values.join(", ")}`, ", compression snappy", features);
  }
}

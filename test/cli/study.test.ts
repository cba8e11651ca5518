/** Studies as real processes: two rows of a study on a benchmark folder of a few rows. Needs `npm run build`. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parse } from "yaml";
import { catalogEntry } from "../../src/data/catalog.js";
import { taskOrder } from "../../src/data/orders.js";
import type { StudySummary } from "../../src/study/summary.js";
import { type Finished, nlora } from "../support/command-line.js";

const root = mkdtempSync(join(tmpdir(), "nlora-study-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Every dataset of order 1 in the benchmark's layout, `rows` a split. */
function writeBenchmark(folder: string, rows: number): void {
  for (const name of taskOrder("order-1").datasets) {
    const { family, labels } = catalogEntry(name);
    const path = join(folder, family, name);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, "labels.json"), JSON.stringify(labels));
    for (const split of ["train", "test"]) {
      const lines = Array.from({ length: rows }, (_, i) =>
        JSON.stringify({ label: labels[i % labels.length], sentence: `${split} row ${i} of ${name}` }),
      );
      writeFileSync(join(path, `${split}.json`), `[\n${lines.join(",\n")}\n]\n`);
    }
  }
}

const command = (...more: string[]) => [
  ..."study figure-6 --scale mini --orders order-1 --seeds 42 --methods NS,n-lora --data data --out out".split(
    " ",
  ),
  ..."--set training.maxSteps=1 --set training.batchSize=4 --set evaluation.maxNewTokens=2".split(" "),
  ...more,
];
const runs = ["NS/order-1/seed-42", "n-lora/order-1/seed-42"];
const summary = () => JSON.parse(readFileSync(join(root, "out", "figure-6.json"), "utf8")) as StudySummary;

let first: Finished;
beforeAll(async () => {
  writeBenchmark(join(root, "data"), 6);
  first = await nlora(root, command("--jobs", "2", "--log", "csv"));
});

it("trains every run, and writes one summary as Markdown, CSV and JSON", () => {
  expect(first.stderr).toMatch(/n-lora\/order-1\/seed-42: done/);
  expect(first.status).toBe(0);
  expect(first.stdout).toMatch(/^\| NS \| \d/m);
  expect(first.stdout).toMatch(/2 of 2 runs done/);
  for (const kind of [".md", ".csv", ".json", "-ablations.svg"])
    expect(existsSync(join(root, "out", `figure-6${kind}`))).toBe(true);
  const { cells, done } = summary();
  expect([done, ...cells.map(({ label }) => label)]).toEqual([2, "NS", "n-lora"]);
  for (const [index, run] of runs.entries()) {
    const record = JSON.parse(readFileSync(join(root, "out", run, "record.json"), "utf8"));
    expect(cells[index]!.averageAccuracy.mean).toBe(record.averageAccuracy);
    expect(readFileSync(join(root, "out", run, "metrics.csv"), "utf8")).toMatch(
      new RegExp(`^${run},.*,,run/averageAccuracy,${record.averageAccuracy}$`, "m"),
    );
    expect(record.penalty.kind).toBe(["none", "delta-w"][index]);
  }
});

it("skips what is done and trains what is missing, with the same result", async () => {
  const before = summary();
  rmSync(join(root, "out", runs[0]!), { recursive: true });
  const again = await nlora(root, command());
  expect(again.status).toBe(0);
  expect(again.stderr).toMatch(/NS\/order-1\/seed-42: started/);
  expect(again.stderr).toMatch(/n-lora\/order-1\/seed-42: done before/);
  expect(summary().cells.map((cell) => cell.averageAccuracy)).toEqual(
    before.cells.map((cell) => cell.averageAccuracy),
  );
});

it("refuses runs of other settings in the same folder", async () => {
  const other = await nlora(root, command("--set", "training.learningRate=0.5"));
  expect(other.status).toBe(1);
  expect(other.stderr).toMatch(/cannot resume .*training\.learningRate is 0\.001 there and 0\.5 here/);
});

it("shows no progress with --quiet, only the table", async () => {
  const again = await nlora(root, command("--quiet"));
  expect(again).toMatchObject({ status: 0, stderr: "" });
  expect(again.stdout).toMatch(/2 of 2 runs done/);
});

it("prints the plan, and refuses studies and rows that there are not", async () => {
  const plan = await nlora(root, command("--plan"));
  expect(plan.stdout.trim().split("\n")).toEqual(runs);
  const unknown = await nlora(root, ["study", "table-2"]);
  expect([unknown.status, unknown.stderr]).toEqual([2, expect.stringMatching(/there is no study "table-2"/)]);
  const none = await nlora(root, ["study", "table-8", "--methods", "sgd"]);
  expect([none.status, none.stderr]).toEqual([2, expect.stringMatching(/its rows are o-lora, n-lora/)]);
});

it("compares runs, and says when there is none", async () => {
  const [left, right] = runs.map((run) => join("out", run));
  const compared = await nlora(root, ["compare", left!, right!]);
  expect(compared.stdout).toMatch(/^metric +n-lora \(seed-42\) +n-lora \(seed-42\)$/m);
  const missing = await nlora(root, ["compare", "data"]);
  expect([missing.status, missing.stderr]).toEqual([
    1,
    expect.stringMatching(/data: there is no record\.json/),
  ]);
});

it("prints a preset that trains as it stands", async () => {
  const preset = await nlora(root, ["preset", "order-4", "--method", "o-lora"]);
  expect(parse(preset.stdout)).toMatchObject({
    method: { name: "o-lora" },
    training: { learningRate: 5e-4 },
  });
  writeFileSync(
    join(root, "mini.yaml"),
    (await nlora(root, ["preset", "order-1", "--scale", "mini"])).stdout,
  );
  const options = "--data data --set training.maxSteps=1 --set evaluation.maxNewTokens=1 --quiet".split(" ");
  expect((await nlora(root, ["train", "mini.yaml", ...options])).status).toBe(0);
});

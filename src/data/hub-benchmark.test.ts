import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { packageRoot } from "../tensor/native.js";
import { loadBenchmark } from "./benchmark.js";
import { CATALOG, catalogEntry } from "./catalog.js";
import { type FindSource, loadHubBenchmark } from "./hub-benchmark.js";
import { HUB_SOURCES } from "./hub-sources.js";
import { filesIn } from "./records/open.js";
import { splitFiles } from "./splits.js";
import { parseTemplate } from "./template.js";

const fixtures = join(packageRoot, "test/fixtures/hub-benchmark");
const root = mkdtempSync(join(tmpdir(), "nlora-hub-benchmark-"));
afterAll(() => rmSync(root, { recursive: true }));

interface Fixture {
  readonly sentences: readonly [string, string];
  readonly labels: readonly [string, string];
}
const FIXTURES = JSON.parse(readFileSync(join(fixtures, "rows.json"), "utf8")) as Record<string, Fixture>;
const NAMES = CATALOG.map(({ name }) => name);
const options = { seed: 1, identity: "task+dataset" as const };

/** The dataset's fixture in a folder laid out as the hub's repository. */
const find: FindSource = async ({ dataset, subset, train, test: held }) => {
  const folder = join(fixtures, dataset.split("@")[0]!.replace("/", "--"));
  const files = filesIn(folder);
  const pick = (split: string) =>
    splitFiles(dataset, files, null, { subset, split: [split] }).files.map((file) => join(folder, file));
  return { train: pick(train), test: pick(held) };
};

describe("the benchmark from the hub", () => {
  test("has a source for every dataset, whose labels are the official ones", () => {
    expect(Object.keys(HUB_SOURCES).sort()).toEqual([...NAMES].sort());
    expect(Object.keys(FIXTURES).sort()).toEqual([...NAMES].sort());
    for (const { name, labels } of CATALOG) {
      expect(HUB_SOURCES[name]!.classes.map(([, label]) => label).sort()).toEqual([...labels].sort());
    }
  });

  test.each(NAMES)("%s gives byte for byte the prompts of the benchmark's own files", async (name) => {
    const { sentences, labels } = FIXTURES[name]!;
    const entry = catalogEntry(name);
    const folder = join(root, entry.family, name);
    mkdirSync(folder, { recursive: true });
    for (const [index, split] of ["train", "test"].entries()) {
      const row = { label: labels[index], sentence: sentences[index] };
      writeFileSync(join(folder, `${split}.json`), JSON.stringify([row]));
    }
    writeFileSync(join(folder, "labels.json"), JSON.stringify(entry.labels));
    const { stream, notes } = await loadHubBenchmark([name], find, options);
    expect(stream).toEqual(loadBenchmark(root, [name], options).stream);
    expect(notes).toEqual([]);
  });

  test("is cut to the release's sizes, labels in their shares, by a choice that no seed changes", async () => {
    const lines = Array.from({ length: 8200 }, (_, i) =>
      JSON.stringify({ title: `t${i}`, description: `d${i}`, label: (i % 8 < 5 ? 0 : i % 4) + 1 }),
    );
    const path = join(root, "ag.jsonl");
    writeFileSync(path, lines.join("\n"));
    const load = (seed: number, more: object = {}) =>
      loadHubBenchmark(["agnews"], async () => ({ train: [path], test: [path] }), {
        ...options,
        seed,
        ...more,
      });
    const { stream, notes } = await load(1);
    const { train, test: held } = stream.tasks[0]!;
    expect([train.length, held.length]).toEqual([4000, 7600]);
    expect(notes.slice(0, 2)).toEqual([
      "agnews: 4000 of 8200 train rows of sh0416/ag_news, always the same",
      "agnews: 7600 of 8200 test rows of sh0416/ag_news, always the same",
    ]);
    const world = train.filter(({ output }) => output === "World").length;
    expect(world).toBe(2500);
    expect((await load(2)).stream).toEqual(stream);
    const capped = await load(1, { trainRows: 100 });
    expect(capped.stream.tasks[0]!.train.length).toBe(100);
    expect((await load(2, { trainRows: 100 })).stream).not.toEqual(capped.stream);
  });

  test("refuses files that are not those it was made of", async () => {
    const load = (name: string, rows: readonly object[]) => {
      const path = join(root, "wrong.jsonl");
      writeFileSync(path, rows.map((row) => JSON.stringify(row)).join("\n"));
      return loadHubBenchmark([name], async () => ({ train: [path], test: [path] }), options);
    };
    await expect(load("agnews", [{ title: "a", description: "b", label: 0 }])).rejects.toThrowError(
      /wrong\.jsonl, line 1: label is 0, expected 1 to 4/,
    );
    await expect(load("agnews", [{ title: "a", text: "b", label: 1 }])).rejects.toThrowError(
      /line 1: there is no text in the column "description" \(columns: title, text, label\)/,
    );
    await expect(load("CB", [{ premise: "a", hypothesis: "b" }])).rejects.toThrowError(
      /label is undefined, expected 0 to 2/,
    );
    const swapped = join(fixtures, "nyu-mll--glue/rte/train-00000-of-00001.parquet");
    await expect(
      loadHubBenchmark(["CB"], async () => ({ train: [swapped], test: [swapped] }), options),
    ).rejects.toThrowError(
      /expected the classes entailment, contradiction, neutral, found entailment, not_entailment/,
    );
  });

  const shared = join(process.env.NLORA_SHARED ?? resolve("../shared"), "data/cl-benchmark");
  test.skipIf(!existsSync(shared))(
    "every real sentence has the layout of its template (needs ../shared)",
    () => {
      for (const { name, family } of CATALOG) {
        // The copy of yahoo there comes from another release, with another layout.
        if (name === "yahoo") continue;
        const pieces = parseTemplate(HUB_SOURCES[name]!.sentence);
        const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
        const layout = new RegExp(
          `^${pieces.map((piece) => ("column" in piece ? "[^\\n]+" : literal(piece.text))).join("")}$`,
        );
        for (const split of ["train", "test"]) {
          const path = join(shared, family, name, `${split}.json`);
          const rows = JSON.parse(readFileSync(path, "utf8")) as { sentence: string }[];
          expect(rows.filter(({ sentence }) => !layout.test(sentence)).slice(0, 1)).toEqual([]);
        }
      }
    },
  );
});

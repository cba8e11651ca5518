import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type JournalledRun, writeJournalledRun } from "../../test/support/journalled-run.js";
import { everything, type Node, parseSvg } from "../../test/support/svg.js";
import { ORDERS } from "../data/orders.js";
import { resolveConfig } from "../experiment/config.js";
import { preset } from "../experiment/presets.js";
import { STANDALONE_NAMES } from "../methods/registry.js";
import { RunFolder } from "../runs/run-folder.js";
import { NO_ADAPTERS } from "./adapters.js";
import { readInputs } from "./inputs.js";
import { presetMatch } from "./preset-match.js";
import { reportOf } from "./report.js";
import { shortNames } from "./reported-run.js";
import { lossInWords } from "./words.js";

const root = mkdtempSync(join(tmpdir(), "nlora-report-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let runs = 0;
function written(run: JournalledRun = {}, name = `run-${++runs}`): string {
  const path = join(root, name);
  writeJournalledRun(path, run);
  return path;
}

function reported(...paths: readonly string[]) {
  const { html, figures } = reportOf({
    ...readInputs(paths),
    adapters: NO_ADAPTERS,
    version: "1.2.3",
    now: new Date("2026-02-01T10:20:30Z"),
  });
  const document = parseSvg(html.replace("<!doctype html>\n", ""));
  return { html, figures, document, nodes: everything(document) };
}

/** All text in a node, as a reader finds it. */
const textOf = (node: Node): string =>
  [node.text, ...node.children.map(textOf)].join(" ").replaceAll(/\s+/g, " ");

/** The cells of the rows that begin with a name. */
const rowsOf = (nodes: readonly Node[], name: string): string[][] =>
  nodes
    .filter(
      (node) =>
        node.name === "tr" && node.children[0] !== undefined && textOf(node.children[0]).trim() === name,
    )
    .map((row) => row.children.slice(1).map((cell) => textOf(cell).trim()));

describe("a report on one run", () => {
  const path = written({ values: { training: { epochs: 3 } } });
  const { nodes, document, figures } = reported(path);

  it("tells what was run, on what, with which loss, and what it cost", () => {
    expect(rowsOf(nodes, "method")[0]![0]).toMatch(/^N-LoRA \(n-lora\)/);
    expect(rowsOf(nodes, "training").map(([value]) => value)).toEqual([
      expect.stringMatching(/^3 epochs, batches of 32/),
      "2 min 00 s",
    ]);
    expect(rowsOf(nodes, "engine")[0]![0]).toBe(
      "libtorch 1.13.0 (system), BLAS generic (blas.so.3), 1 thread, own fused kernels",
    );
    expect(rowsOf(nodes, "1 news")[0]).toEqual(["600", "50", "100 / 200 / 300", "7", "100 / 200 / 300", "7"]);
    expect(textOf(document)).toContain("600 of 4800 train rows (stratified sample, seed 42)");
    expect(textOf(document)).toContain("λ times the sum of the magnitudes of the update, ‖B A‖₁");
    expect(rowsOf(nodes, "tokens trained on")).toEqual([["about 642.0k, from speed and time"]]);
    expect(rowsOf(nodes, "largest memory of the training process")).toEqual([["512 MiB"]]);
    expect(rowsOf(nodes, "kept after the last task")).toEqual([["781 KiB"]]);
  });

  it("gives accuracies and metrics, and says what was not measured instead of 0", () => {
    expect(rowsOf(nodes, "1 news")[1]).toEqual(["80.0", "70.0"]);
    expect(rowsOf(nodes, "2 films")[1]).toEqual(["not measured", "75.0"]);
    expect(rowsOf(nodes, "AA (average accuracy, %)")).toEqual([["72.50"]]);
    expect(rowsOf(nodes, "F.Ra (forgetting, points)")).toEqual([["10.00"]]);
    expect(rowsOf(nodes, "ACR (|dW| > 0.4 rms)")).toEqual([["0.1000"]]);
  });

  it("holds its figures, each with its numbers beside it", () => {
    expect(figures.map(({ id }) => id)).toEqual(["run-accuracy", "run-matrix", "run-loss", "run-penalties"]);
    const drawn = nodes.filter(({ name }) => name === "figure");
    expect(drawn.map(({ attributes }) => attributes.id)).toEqual(figures.map(({ id }) => id));
    for (const figure of drawn) {
      expect(everything(figure).filter(({ name }) => name === "svg")).toHaveLength(1);
      expect(everything(figure).filter(({ name }) => name === "table")).toHaveLength(1);
    }
    expect(rowsOf(everything(drawn[2]!), "task loss").at(0)).toEqual(["1", "6"]);
  });

  it("may run nothing and fetch nothing, and allows its own style alone", () => {
    const policy = nodes.find(({ attributes }) => attributes["http-equiv"] === "Content-Security-Policy")!
      .attributes.content!;
    const styles = nodes.filter(({ name }) => name === "style");
    const hash = createHash("sha256").update(styles[0]!.text).digest("base64");
    expect(styles).toHaveLength(1);
    expect(policy).toBe(
      `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`,
    );
    expect(nodes.filter(({ name }) => ["script", "link", "img", "iframe", "object"].includes(name))).toEqual(
      [],
    );
    expect(nodes.filter(({ attributes }) => "style" in attributes || "src" in attributes)).toEqual([]);
    for (const { attributes } of nodes.filter(({ name }) => name === "a"))
      expect(attributes.href).toMatch(/^#/);
    const ids = nodes.flatMap(({ attributes }) => attributes.id ?? []);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("names no folder of the machine it was made on", () => {
    const elsewhere = written({
      values: {
        model: join(root, "secret", "flan-t5"),
        data: {
          kind: "files",
          tasks: [
            { name: "news", train: join(root, "secret", "a.jsonl"), test: join(root, "secret", "b.jsonl") },
          ],
        },
      },
      tasks: ["news"],
    });
    const { html } = reported(elsewhere);
    expect(html).toContain("…/a.jsonl");
    expect(html).not.toContain("secret");
    expect(html).not.toContain(root);
  });
});

it("tells a matrix of many tasks over tables that fit on a sheet", () => {
  const tasks = Array.from({ length: 15 }, (_, index) => `task-${index + 1}`);
  const { nodes } = reported(written({ tasks }));
  const parts = rowsOf(nodes, "1 task-1").filter((cells) => cells[0] === "80.0" || cells[0] === "0.0");
  expect(parts.map((cells) => cells.length).slice(0, 2)).toEqual([8, 7]);
});

describe("runs that are not done", () => {
  it.each([
    [
      "interrupted",
      "The run was interrupted: 1 of 2 tasks are trained and tested; the last task begun is films, at step 3 of 6",
    ],
    [
      "failed",
      "The run failed: 1 of 2 tasks are trained and tested; the last task begun is films, at step 3 of 6. the loss is not finite (lower the rate)",
    ],
    ["running", "The run has not ended: 1 of 2 tasks are trained and tested"],
  ] as const)("are shown as %s, as far as they came", (status, words) => {
    const { document, nodes } = reported(written({ status }));
    expect(textOf(document)).toContain(words);
    expect(rowsOf(nodes, "AA (average accuracy, %)")).toEqual([["not measured"]]);
    expect(rowsOf(nodes, "1 news")[1]).toEqual(["80.0", "not measured"]);
  });

  it("are shown where they have not begun", () => {
    const path = join(root, "not-begun");
    RunFolder.create(path, resolveConfig({ data: { kind: "synthetic" }, method: "o-lora" }));
    const { document } = reported(path);
    expect(textOf(document)).toContain("The run has not started.");
    expect(textOf(document)).toContain("O-LoRA (o-lora)");
  });

  it("stand beside finished ones, and count in no mean", () => {
    const { nodes, document } = reported(
      written({ level: 80 }),
      written({ level: 60, status: "failed", seed: 43 }),
    );
    expect(textOf(document)).toContain("Runs that are not done are left out of means, claims and figures.");
    expect(rowsOf(nodes, "seeds")).toEqual([["42"]]);
    expect(rowsOf(nodes, "AA (average accuracy, %)")[0]).toEqual(["72.50"]);
  });
});

describe("several runs", () => {
  it("are compared by mean and sample deviation over seeds, method by method", () => {
    const paths = [
      written({ level: 80, seed: 42 }),
      written({ level: 70, seed: 43 }),
      written({ level: 90, seed: 44 }),
      written({
        method: "o-lora",
        level: 60,
        seed: 42,
        penalty: { kind: "orthogonality", lambda1: 0.5, lambda2: 0, orth: "abs" },
      }),
    ];
    const { nodes, figures, document } = reported(...paths);
    expect(rowsOf(nodes, "seeds")).toEqual([["42, 43, 44", "42"]]);
    expect(rowsOf(nodes, "AA (average accuracy, %)")[0]).toEqual(["72.50 ± 10.00", "52.50"]);
    expect(textOf(document)).toContain("Claims and aims");
    expect(figures.map(({ id }) => id).slice(0, 2)).toEqual([
      "compare-average-accuracy",
      "compare-sparsity-collision-forgetting",
    ]);
    const ids = nodes.flatMap(({ attributes }) => attributes.id ?? []);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("are told apart by the settings in which they differ, which gives a sweep where that is one number", () => {
    const at = (lambda: number) =>
      written({ level: 80 - 20 * lambda, values: { method: { name: "n-lora", lambda } } });
    const { nodes, figures } = reported(at(0.1), at(0.4));
    const header = nodes.find(
      ({ name, children }) => name === "tr" && textOf(children[0]!).trim() === "metric",
    )!;
    expect(header.children.slice(1).map((cell) => textOf(cell).trim())).toEqual([
      "n-lora lambda 0.1, stream 1",
      "n-lora lambda 0.4, stream 1",
    ]);
    expect(figures[0]!.id).toBe("compare-lambda-sweep");
  });

  it("are no seeds of one thing where only their folders tell them apart", () => {
    const { nodes } = reported(written({ level: 80 }, "twin-a"), written({ level: 60 }, "twin-b"));
    expect(rowsOf(nodes, "AA (average accuracy, %)")[0]).toEqual(["72.50", "52.50"]);
  });

  it("are found in the folder of a study, with its summary", () => {
    const study = join(root, "study");
    mkdirSync(join(study, "n-lora", "order-1"), { recursive: true });
    writeJournalledRun(join(study, "n-lora", "order-1", "seed-42"), { level: 80 });
    const none = { mean: null, deviation: null };
    const cell = { label: "n-lora", method: "n-lora", order: "order-1", seeds: [42], paperAccuracy: 79.2 };
    const figures = Object.fromEntries(
      [
        "averageAccuracy",
        "forgettingRate",
        "ownTaskAccuracy",
        "unseenAccuracy",
        "unseenBase",
        "gsr",
        "acrAbs",
        "acrRelRms",
        "acrExact",
      ].map((name) => [name, none]),
    );
    writeFileSync(
      join(study, "table-1.json"),
      JSON.stringify({
        study: "table-1",
        title: "Table 1 <again>",
        scale: "mini",
        done: 1,
        runs: 3,
        failed: [],
        cells: [{ ...cell, ...figures, averageAccuracy: { mean: 72.5, deviation: 1.25 } }],
        rows: [],
        claims: [],
      }),
    );
    const { nodes, document, figures: drawn } = reported(study);
    expect(textOf(document)).toContain("Table 1 <again>");
    expect(rowsOf(nodes, "n-lora, order-1")[0]).toEqual([
      "42",
      "72.5 ± 1.3",
      "not measured",
      "not measured",
      "79.2",
    ]);
    expect(drawn.map(({ id }) => id)).toContain("table-1-average-accuracy");
    expect(() => readInputs([join(study, "n-lora", "nothing")])).toThrow(/there is no such folder/);
    mkdirSync(join(root, "empty"));
    expect(() => readInputs([join(root, "empty")])).toThrow(/found no run in this folder/);
  });
});

it("shows names, notes and failures from outside as text", () => {
  const name = `<img src=x onerror=alert(1)>"'&`;
  const { document, nodes } = reported(
    written({
      tasks: [name, `</td><script>alert(2)</script>`],
      notes: [`<b>${name}</b>`],
      penalty: { kind: name },
    }),
  );
  expect(nodes.filter((node) => ["img", "script", "b"].includes(node.name))).toEqual([]);
  expect(textOf(document)).toContain(`<b>${name}</b>`);
  expect(textOf(document)).toContain(`1 ${name}`);
});

it("reads records on their own, of earlier versions too, and refuses other files", () => {
  const file = join(root, "record.json");
  const record = new RunFolder(written()).readRecord()!;
  const { startFrom: _, keptBytes: __, peakMemory: ___, ...earlier } = record;
  writeFileSync(file, JSON.stringify({ ...earlier, acr: { abs: 0.1, relRms: 0.2 } }));
  const { nodes } = reported(file);
  expect(rowsOf(nodes, "AA (average accuracy, %)")).toEqual([["72.50"]]);
  expect(rowsOf(nodes, "ACR (dW not 0)")).toEqual([["not measured"]]);
  writeFileSync(file, JSON.stringify({ schema: "other" }));
  expect(() => readInputs([file])).toThrow(/expected a record of a run .*found "other"/);
});

it("gives runs the shortest names that tell them apart", () => {
  expect(shortNames(["runs/a", "runs/b"])).toEqual(["a", "b"]);
  expect(shortNames(["s/n-lora/order-1/seed-42", "s/o-lora/order-1/seed-42"])).toEqual(["n-lora", "o-lora"]);
  expect(shortNames(["s/n-lora/seed-42", "s/o-lora/seed-42", "s/o-lora/seed-43"])).toEqual([
    "n-lora/seed-42",
    "o-lora/seed-42",
    "o-lora/seed-43",
  ]);
  expect(shortNames(["runs/a", "runs/a"])).toEqual(["a (1)", "a (2)"]);
});

describe("the preset of a run", () => {
  const orders = ["order-1", "order-4", "llama-2"];

  it("is found for every method, order and size, whatever the seed and the place of the data", () => {
    for (const order of orders) {
      for (const method of STANDALONE_NAMES) {
        for (const scale of ["paper", "mini"] as const) {
          const config = resolveConfig(
            { ...preset({ order, method, scale }), seed: 7 },
            { data: "elsewhere" },
          );
          const tasks = ORDERS.find(({ name }) => name === order)!.datasets;
          const match = presetMatch(config, tasks)!;
          expect(match.differences).toEqual([]);
          expect(match.choice.scale).toBe(scale);
        }
      }
    }
  });

  it("is named with the settings in which a run differs, beside what the paper reports", () => {
    const values = preset({ order: "order-1", method: "n-lora", scale: "mini" });
    const config = resolveConfig(values, {
      data: "elsewhere",
      set: ["method.lambda=0.1", "data.holdOut={rows: 20}"],
    });
    expect(presetMatch(config, ORDERS[0]!.datasets)).toEqual({
      choice: { order: "order-1", scale: "mini", protocol: "equal" },
      differences: [
        { key: "data.holdOut", here: { rows: 20 }, preset: null },
        { key: "method.lambda", here: 0.1, preset: 0.02 },
      ],
      paperAccuracy: 79.2,
    });
  });

  it("is none for other streams", () => {
    expect(presetMatch(resolveConfig({ data: { kind: "synthetic" } }), ["a", "b"])).toBeNull();
  });
});

describe("the loss in words", () => {
  const words = (penalty: Record<string, unknown>) => lossInWords({ penalty }).slice(1).join(" ");
  const sparsity = {
    normalise: "rms",
    includeScaling: false,
    gamma: 0,
    lambda: 0.4,
    lambdaUnit: "published",
    target: null,
  };

  it("names kind, normalisation, lambda and its unit", () => {
    expect(words({ ...sparsity, kind: "delta-w" })).toMatch(
      /‖B A‖₁.*normalise: rms.*kind delta-w.*λ is 0\.4 in every task, in the published unit, converted/,
    );
    expect(words({ ...sparsity, kind: "released-code", lambda: [0.4, 1.2] })).toMatch(
      /‖A B‖₁.*λ is 0\.4, 1\.2 \(task by task\), in the published unit, used as it stands/,
    );
    expect(
      words({
        ...sparsity,
        kind: "delta-w",
        normalise: "sum",
        lambdaUnit: "raw",
        includeScaling: true,
        gamma: 2,
      }),
    ).toMatch(/plain sum.*lambdaUnit: raw.*LoRA scale is part of.*counts 1 \+ 2 n times/);
  });

  it("names both penalties where there are two, and what other methods do", () => {
    expect(words({ ...sparsity, kind: "delta-w", lambda1: 0.5, lambda2: 0, orth: "abs" })).toMatch(
      /‖B A‖₁.*λ₁ times the sum of the magnitudes of A_i A_tᵀ/,
    );
    expect(words({ kind: "none" })).toBe("Nothing is added to it.");
    expect(words({ kind: "none", sparsity: { ...sparsity, kind: "delta-w" } })).toMatch(/‖B A‖₁/);
    expect(words({ kind: "replay", rho: 0.25 })).toMatch(/of the kind replay, with rho 0\.25/);
    expect(words({})).toBe("What was added to it was not recorded.");
  });
});

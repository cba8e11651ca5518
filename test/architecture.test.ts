/** The layers of the house, held by reading import lines: a folder imports from layers below its own, never above. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { expect, it } from "vitest";
import { packageRoot } from "../src/tensor/native.js";

const source = join(packageRoot, "src");

/** Lowest first. Folders of one row may import each other only where `SIDEWAYS` says so. */
const LAYERS: readonly (readonly string[])[] = [
  ["errors.ts"],
  ["random.ts", "settings.ts", "did-you-mean.ts", "format.ts", "http"],
  ["tensor"],
  ["nn"],
  ["io", "models", "adapters", "hub"],
  ["data"],
  ["methods"],
  ["metrics"],
  ["learn"],
  ["figures"],
  ["experiment", "runs"],
  ["analysis"],
  ["study"],
  ["loggers"],
  ["report"],
  ["inference"],
  ["serve"],
  ["export"],
  ["dashboard"],
  ["cli", "bench"],
  ["index.ts"],
];

const SIDEWAYS = [
  "models -> io",
  "hub -> io",
  "adapters -> models",
  "io -> adapters",
  "experiment -> runs",
  "runs -> experiment",
];

/** Imports against the direction that are types only, and why. */
const TYPES_UPWARD: readonly string[] = [
  // the record is what metrics fill in
  "metrics -> runs",
];

const files = readdirSync(source, { recursive: true })
  .map(String)
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));

const folderOf = (file: string): string => relative(source, file).split("/")[0]!;
const layerOf = (folder: string): number => LAYERS.findIndex((layer) => layer.includes(folder));

function importsOf(file: string): { target: string; typeOnly: boolean }[] {
  const text = readFileSync(join(source, file), "utf8");
  const statements = text.matchAll(/^(?:import|export)\s+(type\s+)?[^;]*?from\s+"(\.[^"]+)";/gms);
  return [...statements].map(([, type, path]) => ({
    target: resolve(source, dirname(file), path!.replace(/\.js$/, ".ts")),
    typeOnly: type !== undefined,
  }));
}

it("knows the layer of every folder", () => {
  expect(
    [...new Set(files.map((file) => file.split("/")[0]!))].filter((folder) => layerOf(folder) < 0),
  ).toEqual([]);
});

it("imports from layers below, never from above", () => {
  const wrong: string[] = [];
  for (const file of files) {
    const from = file.split("/")[0]!;
    for (const { target, typeOnly } of importsOf(file)) {
      const to = folderOf(target);
      if (from === to) continue;
      const edge = `${from} -> ${to}`;
      const above = layerOf(to) - layerOf(from);
      if (above < 0 || SIDEWAYS.includes(edge)) continue;
      if (typeOnly && TYPES_UPWARD.includes(edge)) continue;
      wrong.push(`${file}: ${edge}`);
    }
  }
  expect(wrong).toEqual([]);
});

it("has no import cycles", () => {
  const graph = new Map(
    files.map((file) => [
      join(source, file),
      importsOf(file)
        .filter((each) => !each.typeOnly)
        .map((each) => each.target),
    ]),
  );
  const state = new Map<string, "open" | "done">();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (state.get(file) === "done") return;
    if (state.get(file) === "open") {
      cycles.push(
        [...path.slice(path.indexOf(file)), file].map((each) => relative(source, each)).join(" -> "),
      );
      return;
    }
    state.set(file, "open");
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    state.set(file, "done");
  };
  for (const file of graph.keys()) visit(file, []);
  expect(cycles).toEqual([]);
});

it("loads the engine in one place alone, and keeps the people's side free of tensors", () => {
  const text = (file: string) => readFileSync(join(source, file), "utf8");
  const loaders = files.filter(
    (file) => /createRequire/.test(text(file)) && !file.endsWith("generate-ops.ts"),
  );
  expect(loaders).toEqual(["tensor/native.ts"]);
  const people = files.filter((file) => file.startsWith("cli/"));
  const tensorImports = people.filter((file) =>
    importsOf(file).some((each) => !each.typeOnly && folderOf(each.target) === "tensor"),
  );
  expect(tensorImports).toEqual([]);
});

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { everything, parseSvg } from "../../test/support/svg.js";
import { writeTinyRun } from "../../test/support/tiny-run.js";
import { inspectAdapters } from "../analysis/inspect.js";
import { collisionTotals } from "../figures/collision-map.js";
import type { Chart, CollisionMap } from "../figures/figure.js";
import { liveTensors } from "../tensor/scope.js";
import { adapterFigures, adapterSection, densestModule, NO_ADAPTERS, readingsOfMaps } from "./adapters.js";

const root = mkdtempSync(join(tmpdir(), "nlora-report-adapters-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const path = join(root, "tiny");
writeTinyRun(path, root);
const before = liveTensors();
const measured = inspectAdapters([path]);
const module = densestModule(measured, "abs")!;
const { maps } = inspectAdapters([path], { readings: [], maps: [{ module, reading: "abs" }] });
const inspection = { ...measured, maps };
const findings = {
  found: [
    { run: "one", inspection },
    { run: "two", inspection },
  ],
  skipped: [{ run: "three", reason: "a file <is> missing" }],
};
const figures = adapterFigures(findings);
const figure = <Kind>(id: string) => figures.find((each) => each.id === id) as Kind;

it("leaves no tensor behind", () => {
  expect(liveTensors()).toBe(before);
});

it("draws the nuclear norm of every module, of the first task for all runs and of all tasks for each", () => {
  expect(figures.map(({ id }) => id)).toEqual([
    "nuclear-first",
    "occupied-abs",
    "adapters-1-nuclear-norms",
    "adapters-1-collisions-abs",
    "adapters-2-nuclear-norms",
    "adapters-2-collisions-abs",
  ]);
  const own = figure<Chart>("adapters-1-nuclear-norms");
  expect(own.series.map(({ name }) => name)).toEqual(measured.adapters.map(({ name }) => name));
  own.series.forEach(({ points }, k) => {
    expect(points.map(({ y }) => y)).toEqual(measured.modules.map((each) => each.adapters[k]!.nuclear));
  });
  const first = figure<Chart>("nuclear-first");
  expect(first.series.map(({ name }) => name)).toEqual(["one", "two"]);
  expect(first.series[1]!.points).toEqual(own.series[0]!.points);
  expect(first.references![0]!.value).toBeCloseTo(measured.adapters[0]!.nuclear / measured.modules.length, 9);
});

it("draws the module that is used most, where its totals are those of the pair", () => {
  const map = figure<CollisionMap>("adapters-1-collisions-abs");
  const { rate, expected } = collisionTotals(map);
  const pair = measured.modules.find((each) => each.module === module)!.pairs[0]!;
  expect(rate).toBeCloseTo(pair.collisionRate.abs!, 9);
  expect(expected).toBeCloseTo(pair.expected.abs!, 9);
  const density = (each: (typeof measured.modules)[number]) =>
    each.adapters[0]!.density.abs! + each.adapters[1]!.density.abs!;
  expect(density(measured.modules.find((each) => each.module === module)!)).toBe(
    Math.max(...measured.modules.map(density)),
  );
  expect(readingsOfMaps(measured)).toEqual(["abs"]);
});

it("tells norms, densities and pairs as tables, and which adapters were not measured and why", () => {
  const section = adapterSection(findings, figures, "adapters")!;
  const texts = everything(parseSvg(section.text)).map(({ text }) => text);
  expect(texts).toContain("The adapters of three were not measured: a file <is> missing");
  expect(texts).toContain(`${measured.adapters[0]!.name} – ${measured.adapters[2]!.name}`);
  expect(adapterSection(NO_ADAPTERS, [], "adapters")).toBeNull();
});

import { describe, expect, it } from "vitest";
import { adapterOf, type Factors } from "../../test/support/dense.js";
import { inspectDeltas } from "../metrics/inspect.js";
import type { Inspection } from "../metrics/inspection.js";
import { tidy } from "../tensor/scope.js";
import { inspectionTables } from "./inspection-tables.js";

const first: Factors = { a: [[1, 0, 2]], b: [[1], [-1]] };
const second: Factors = { a: [[0, 3, 1]], b: [[2], [0]] };

const inspection = (modules: readonly (readonly Factors[])[], scales: readonly number[] = [4, 4, 4]) =>
  tidy(
    (): Inspection =>
      inspectDeltas(
        modules.map((factors, k) => ({
          delta: adapterOf(factors, ["one", "two", "three"][k]!, scales[k]!),
          folder: `adapters/${k}`,
        })),
        { maps: modules.length > 1 ? [{ module: "m0", i: 0, j: 1, reading: "exact" }] : [] },
      ),
  );

/** Cells of the line that begins with `name`. */
const row = (text: string, name: string, from = 0): string[] | undefined =>
  text
    .split("\n")
    .slice(from)
    .find((line) => line.startsWith(name))
    ?.slice(name.length)
    .trim()
    .split(/\s+/);

describe("the tables of an inspection", () => {
  it("show the adapters, all readings of the metrics, what is occupied, pairs and maps", () => {
    const text = inspectionTables(inspection([[first], [second]]));
    expect(row(text, "one ")).toEqual([
      "1",
      "1",
      "4.000",
      "3.162",
      "3.162",
      "1.00",
      "1.00",
      "0.7746",
      "0.6667",
      "0.6667",
      "0.6667",
    ]);
    expect(row(text, "OO (squared) ")).toEqual(["4.000", "0.03704"]);
    expect(row(text, "AWOM (Frobenius) ")).toEqual(["14.14"]);
    expect(row(text, "ACR (|dW| not 0) ")).toEqual(["0.1667"]);
    expect(row(text, "2 two ")).toEqual(["0.8333", "0.8333", "0.8333"]);
    const pair = row(text, "one – two ")!;
    expect(pair.slice(0, 4)).toEqual(["4.000", "0.2000", "4.000", "14.14"]);
    expect(pair.slice(-3)).toEqual(["0.5000", "0.5000", "45.0"]);
    const collisions = text.split("\n").findIndex((line) => line.includes("CR not 0"));
    expect(row(text, "one – two ", collisions)).toEqual([
      "0.1667",
      "0.750",
      "0.1667",
      "0.750",
      "0.1667",
      "0.750",
    ]);
    expect(row(text, "one alone ")).toEqual(["3", "0.5000"]);
    expect(row(text, "neither ")).toEqual(["1", "0.1667"]);
    expect(text).not.toMatch(/scales differ|has no module/);
    expect(text).not.toContain("\nmodule ");
  });

  it("show layers and modules where asked for", () => {
    const text = inspectionTables(inspection([[first], [second]]), { layers: true, modules: true });
    const from = text.split("\n").findIndex((line) => line.startsWith("module "));
    expect(from).toBeGreaterThan(0);
    expect(row(text, "m0 ", from)!.slice(0, 5)).toEqual(["4.743", "4.743", "1.00", "4.000", "14.14"]);
    expect(text).toMatch(/\nlayer +/);
  });

  it("have dashes for what is undefined, and no pairs of one adapter", () => {
    const zero: Factors = { a: [[1, 2, 3]], b: [[0], [0]] };
    expect(inspectionTables(inspection([[zero]]))).not.toMatch(/pair|occupied/);
    const text = inspectionTables(inspection([[zero], [second]]));
    expect(row(text, "one – two ")!.slice(0, 2)).toEqual(["0", "–"]);
    expect(row(text, "one ")!.slice(3, 8)).toEqual(["0", "0", "–", "–", "–"]);
  });

  it("say which adapters lack modules, and that scales differ", () => {
    const text = inspectionTables(inspection([[first], [second, second]], [4, 2]));
    expect(text).toContain("Of 2 modules one has 1; where an adapter has no module its update is zero.");
    expect(text).toContain("scales differ");
  });
});

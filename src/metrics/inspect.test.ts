import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adapterOf, type Factors } from "../../test/support/dense.js";
import { writePeft } from "../io/peft.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import { inspectAdapters } from "./inspect.js";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "nlora-inspect-"));
});
afterAll(() => rmSync(root, { recursive: true }));

function written(name: string, ...modules: Factors[]): string {
  const folder = join(root, name);
  tidy(() => {
    const delta = adapterOf(modules, name, 4);
    writePeft(folder, delta, {
      base: { name: "tiny", revision: null },
      dropout: 0,
      targetModules: [...delta.modules.keys()],
      taskType: "SEQ_2_SEQ_LM",
    });
  });
  return folder;
}

const first: Factors = { a: [[1, 0, 2]], b: [[1], [-1]] };
const second: Factors = { a: [[0, 3, 1]], b: [[2], [0]] };

describe("inspecting adapter folders", () => {
  it("gives the four metrics, each adapter and each pair, and frees everything", () => {
    const folders = [written("1-agnews", first), written("2-yelp", second)];
    const before = liveTensors();
    const report = inspectAdapters(folders);
    expect(liveTensors()).toBe(before);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    expect(report).toMatchObject({
      orthogonalOverlap: { squared: expect.closeTo(4, 5), abs: expect.closeTo(2, 5) },
      awom: { spectral: expect.closeTo(14.142136, 5), frobenius: expect.closeTo(14.142136, 5) },
      gsr: { mean: expect.closeTo((0.774597 + 0.516398) / 2, 5) },
      acr: { abs: 1 / 6, relRms: 1 / 6, exact: 1 / 6 },
    });
    expect(report.adapters[0]).toMatchObject({
      name: "1-agnews",
      folder: folders[0],
      modules: 1,
      rank: 1,
      scale: 4,
      deltaNorm: expect.closeTo(Math.sqrt(10), 5),
      gsr: expect.closeTo(0.774597, 5),
      density: { abs: 4 / 6, relRms: 4 / 6, exact: 4 / 6 },
    });
    expect(report.pairs).toHaveLength(1);
    expect(report.pairs[0]).toMatchObject({
      i: 0,
      j: 1,
      a: "1-agnews",
      b: "2-yelp",
      innerProduct: 4,
      cosine: expect.closeTo(0.2, 6),
      collisionRate: { abs: 1 / 6, exact: 1 / 6 },
      expected: { exact: 2 / 9 },
      lift: { exact: expect.closeTo(0.75, 10) },
    });
  });

  it("tells folders of the same name apart", () => {
    const folder = written("same", first);
    const names = inspectAdapters([folder, folder]).adapters.map(({ name }) => name);
    expect(names).toEqual([folder, `${folder} (2)`]);
  });

  it("names the adapters that do not fit together", () => {
    const narrow = written("narrow", { a: [[1, 2]], b: [[1], [1]] });
    expect(() => inspectAdapters([written("wide", first), narrow])).toThrow(
      /module m0 differs in size: adapter wide has A float32\[1, 3\].*adapter narrow has A float32\[1, 2\]/,
    );
    expect(() => inspectAdapters([written("wide", first), written("more", first, second)])).toThrow(
      /only more has m1/,
    );
  });
});

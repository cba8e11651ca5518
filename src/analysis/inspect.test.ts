import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adapterOf, type Factors } from "../../test/support/dense.js";
import { randomAdapter, TINY_TASKS, writeTinyChat, writeTinyRun } from "../../test/support/tiny-run.js";
import { increment, withScale } from "../adapters/combine.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { CheckpointError, RunError, UsageError } from "../errors.js";
import { readPeft, writePeft } from "../io/peft.js";
import { geometrySummary } from "../metrics/geometry.js";
import { liveTensors, tidy } from "../tensor/scope.js";
import { inspectAdapters } from "./inspect.js";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "nlora-inspect-"));
});
afterAll(() => rmSync(root, { recursive: true }));

function save(delta: AdapterDelta, storage: "dense" | "sparse" = "dense"): string {
  const folder = join(root, delta.name);
  writePeft(folder, delta, {
    base: { name: "tiny", revision: null },
    dropout: 0,
    targetModules: [...delta.modules.keys()],
    taskType: "SEQ_2_SEQ_LM",
    storage,
  });
  return folder;
}

const written = (name: string, modules: readonly Factors[], scale = 4): string =>
  tidy(() => save(adapterOf(modules, name, scale)));

const first: Factors = { a: [[1, 0, 2]], b: [[1], [-1]] };
const second: Factors = { a: [[0, 3, 1]], b: [[2], [0]] };

describe("inspecting adapter folders", () => {
  it("gives each adapter and pair, of each module, layer and all of them, and frees everything", () => {
    const folders = [written("1-agnews", [first]), written("2-yelp", [second])];
    const before = liveTensors();
    const report = inspectAdapters(folders);
    expect(liveTensors()).toBe(before);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    const scope = {
      parameters: 6,
      orthogonalOverlap: { squared: expect.closeTo(4, 5), abs: expect.closeTo(2, 5) },
      awom: { spectral: expect.closeTo(14.142136, 5), frobenius: expect.closeTo(14.142136, 5) },
      gsr: { mean: expect.closeTo((0.774597 + 0.516398) / 2, 5) },
      acr: { abs: 1 / 6, relRms: 1 / 6, relMax: null, energy: null, exact: 1 / 6 },
      occupied: { abs: [4 / 6, 5 / 6], relRms: [4 / 6, 5 / 6], relMax: null, exact: [4 / 6, 5 / 6] },
    };
    expect(report).toMatchObject({ ...scope, scaled: false, readings: ["abs", "relRms", "exact"], maps: [] });
    const one = {
      frobenius: expect.closeTo(Math.sqrt(10), 10),
      nuclear: expect.closeTo(Math.sqrt(10), 10),
      spectral: expect.closeTo(Math.sqrt(10), 10),
      effectiveRank: expect.closeTo(1, 10),
      stableRank: expect.closeTo(1, 10),
      zeroModules: 0,
      l1: expect.closeTo(6, 5),
      gsr: expect.closeTo(0.774597, 5),
      density: { abs: 4 / 6, relRms: 4 / 6, energy: null, exact: 4 / 6 },
    };
    const named = { name: "1-agnews", folder: folders[0], modules: 1, rank: 1, scale: 4 };
    expect(report.adapters[0]).toMatchObject({ ...one, ...named });
    const degrees = (cosine: number) => (Math.acos(cosine) * 180) / Math.PI;
    const pair = {
      ...{ i: 0, j: 1, a: "1-agnews", b: "2-yelp", innerProduct: expect.closeTo(4, 10) },
      cosine: expect.closeTo(0.2, 10),
      orthogonalOverlap: { squared: expect.closeTo(4, 10), abs: expect.closeTo(2, 10) },
      awom: { spectral: expect.closeTo(14.142136, 5) },
      rows: { smallest: expect.closeTo(degrees(2 / Math.sqrt(50)), 6), overlap: expect.closeTo(4 / 50, 10) },
      columns: { smallest: expect.closeTo(45, 6), mean: expect.closeTo(45, 6), random: 1 / 2 },
      collisionRate: { abs: 1 / 6, exact: 1 / 6 },
      expected: { exact: 2 / 9 },
      lift: { exact: expect.closeTo(0.75, 10) },
    };
    expect(report.pairs).toHaveLength(1);
    expect(report.pairs[0]).toMatchObject(pair);
    const module = { module: "m0", layer: "m0", outputs: 2, inputs: 3, ranks: [1, 1] };
    expect(report.modules).toMatchObject([{ ...scope, ...module, adapters: [one, {}] }]);
    expect(report.modules[0]!.pairs).toMatchObject([{ ...pair, columnAngles: [expect.closeTo(45, 6)] }]);
    expect(report.layers).toMatchObject([{ ...scope, layer: "m0", modules: ["m0"], adapters: [one, {}] }]);
  });

  it("takes adapters of other ranks, scales, modules and storage; what an adapter lacks is zero", () => {
    tidy(() => {
      const small = adapterOf([first], "small", 4);
      const wide = adapterOf(
        [
          {
            a: [
              [0, 3, 1],
              [1, 0, 0],
            ],
            b: [
              [2, 0],
              [0, 0],
            ],
          },
          { a: [[1, 1]], b: [[1]] },
        ],
        "wide",
        0.5,
      );
      const report = inspectAdapters([save(small), save(wide, "sparse")]);
      expect(report.adapters).toMatchObject([
        { name: "small", rank: 1, scale: 4, modules: 1, zeroModules: 1 },
        { name: "wide", rank: 2, scale: 0.5, modules: 2, zeroModules: 0 },
      ]);
      expect(report.modules).toMatchObject([{ ranks: [1, 2] }, { ranks: [0, 1] }]);
      expect(report.modules[1]!.pairs).toMatchObject([{ cosine: null, rows: null, columns: null }]);
      expect(report.modules[1]!.adapters[0]).toMatchObject({ frobenius: 0, gsr: null, effectiveRank: null });
      expect(report.pairs[0]!.collisionRate.exact).toBe(1 / 8);
      const scaled = inspectAdapters([join(root, "small"), join(root, "wide")], { scaled: true });
      const sizes = (of: typeof report) => of.adapters.map(({ frobenius }) => frobenius);
      const [plain, grown] = [sizes(report), sizes(scaled)];
      expect(grown).toEqual([expect.closeTo(4 * plain[0]!, 9), expect.closeTo(0.5 * plain[1]!, 9)]);
      expect(scaled.pairs[0]!.innerProduct).toBeCloseTo(2 * report.pairs[0]!.innerProduct, 9);
    });
  });

  it("leaves out what takes a look at every element where no reading is asked for", () => {
    const report = inspectAdapters([written("x", [first]), written("y", [second])], { readings: [] });
    expect(report).toMatchObject({
      readings: [],
      gsr: { mean: null, pooled: null },
      acr: { abs: null, exact: null },
      occupied: { abs: null },
      orthogonalOverlap: { squared: expect.closeTo(4, 5) },
    });
    expect(report.adapters[0]).toMatchObject({ l1: null, gsr: null, density: { abs: null } });
  });

  it("tells folders of the same name apart", () => {
    const folder = written("same", [first]);
    const names = inspectAdapters([folder, folder]).adapters.map(({ name }) => name);
    expect(names).toEqual([folder, `${folder} (2)`]);
  });

  it("refuses adapters whose modules differ in size, and names them", () => {
    const narrow = written("narrow", [{ a: [[1, 2]], b: [[1], [1]] }]);
    expect(() => inspectAdapters([written("wide", [first]), narrow])).toThrow(
      /module m0 differs in size: adapter wide has A float32\[1, 3\].*adapter narrow has A float32\[1, 2\]/,
    );
    expect(() => inspectAdapters([root])).toThrow(CheckpointError);
  });
});

describe("inspecting a run", () => {
  const chat = () => join(root, "model");
  beforeAll(() => {
    mkdirSync(chat());
    writeTinyChat(chat());
    writeTinyRun(join(root, "run"), chat());
    writeTinyRun(join(root, "cumulative"), chat(), "cumulative");
  });

  const expected = (deltas: readonly AdapterDelta[]) => tidy(() => geometrySummary(deltas));

  it("measures its tasks in order, as the run's own record does", () => {
    const before = liveTensors();
    const report = inspectAdapters([join(root, "run")]);
    expect(liveTensors()).toBe(before);
    expect(report.adapters.map(({ name }) => name)).toEqual(TINY_TASKS.map((task, k) => `${k + 1}-${task}`));
    tidy(() =>
      expect(report).toMatchObject(expected(TINY_TASKS.map((task, k) => randomAdapter(task, 10 + k)))),
    );
    expect(report.layers.map(({ layer, modules }) => [layer, modules.length])).toEqual([
      ["model.layers.0", 2],
      ["model.layers.1", 2],
    ]);
  });

  it("takes a run's adapters beside others, under the run's scale", () => {
    const other = tidy(() => save({ ...randomAdapter("other", 3), scale: 8 }));
    const report = inspectAdapters([join(root, "run"), other]);
    expect(report.adapters.map(({ scale }) => scale)).toEqual([2, 2, 2, 8]);
  });

  it("of one adapter trained on and on gives states, or what each task added", () => {
    const folder = join(root, "cumulative");
    const states = () =>
      TINY_TASKS.map((task, k) => readPeft(join(folder, "adapters", `${k + 1}-${task}`)).delta);
    tidy(() => expect(inspectAdapters([folder])).toMatchObject(expected(states())));
    const config = join(folder, "config.yaml");
    writeFileSync(config, readFileSync(config, "utf8").replace("seqDelta: snapshot", "seqDelta: increment"));
    tidy(() => {
      const all = states();
      const added = all.map((state, k) => increment(state, all[k - 1]));
      expect(inspectAdapters([folder])).toMatchObject(expected(added.map((each) => withScale(each, 2))));
    });
  });

  it("refuses a run without a finished task", () => {
    writeFileSync(join(chat(), "config.yaml"), readFileSync(join(root, "run", "config.yaml")));
    expect(() => inspectAdapters([chat()])).toThrow(RunError);
  });
});

describe("asking for a map", () => {
  it("chooses adapters by number or name, and refuses what is not there", () => {
    const folders = ["a", "b", "c"].map((name, k) => written(name, [k === 1 ? second : first]));
    const map = (module: string, pair?: readonly [string, string]) =>
      inspectAdapters(folders, { maps: [{ module, reading: "exact", ...(pair && { pair }) }] }).maps[0]!;
    expect(map("m0")).toMatchObject({ i: 0, j: 1, a: "a", b: "b", reading: "exact" });
    expect(map("m0", ["c", "2"])).toMatchObject({ i: 2, j: 1, onlyA: [1, 0, 0, 1, 0, 1] });
    expect(() => map("m7")).toThrow(/no adapter has a module m7; there are 1, among them m0/);
    expect(() => map("m0", ["a", "4"])).toThrow(/there is no adapter 4; there are 1 \(a\), 2 \(b\), 3 \(c\)/);
    expect(() => inspectAdapters([folders[0]!], { maps: [{ module: "m0" }] })).toThrow(UsageError);
  });
});

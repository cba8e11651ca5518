import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  axisOf,
  cornersOf,
  everything,
  type Node,
  parseSvg,
  placeOf,
  withClass,
} from "../../test/support/svg.js";
import { collisionMap, nuclearNorms } from "./adapter-figures.js";
import { coarser, levelOf } from "./collision-map.js";
import { csvOf, dataTables } from "./data-table.js";
import { draw } from "./draw.js";
import type { CollisionMap, Figure } from "./figure.js";
import {
  accuracyMatrix,
  accuracyOverStream,
  lossCurves,
  measureCurves,
  penaltyCurves,
  prequentialCurve,
} from "./run-figures.js";
import { ablations, lambdaSweep, sparsityCollisionForgetting, unseenTask } from "./study-figures.js";

const RUN = {
  tasks: ["dbpedia", "amazon", "yahoo", "agnews"],
  accuracy: [
    [81.8, 62.2, 0, 0],
    [4, 19.2, 20.2, 18],
    [null, 0, 25.2, 3.8],
    [0, 0, 19.6, 81.4],
  ],
  baseAccuracy: [11, 16.6, 0, 0],
};

const CURVES = [
  {
    task: "dbpedia",
    before: 0,
    planned: 4,
    steps: [1, 2, 4],
    series: { taskLoss: [6.3, 3.1, 0.9], sparsity: [0.1, 0.4, 0.2], density: [1, 0.8, 0.5] },
    penalties: ["sparsity"],
    measures: ["density"],
  },
  {
    task: "amazon",
    before: 4,
    planned: 3,
    steps: [1, 2, 3],
    series: { taskLoss: [7.5, Number.NaN, 1.4], sparsity: [0.3, 0.25, 0.2], density: [0.9, 0.7, 0.4] },
    penalties: ["sparsity"],
    measures: ["density"],
  },
];

const ONLINE = {
  rows: 200,
  curve: [
    [50, 12],
    [100, 80],
    [150, 22.5],
    [200, 60],
  ] as const,
  tasks: ["diary", "scenes"].map((task, k) => ({
    task,
    start: 100 * k,
    prequentialAccuracy: 50,
    delay: k === 0 ? null : 20,
    recovery: null,
  })),
  alarms: [{ row: 120, since: 100, kind: "inputs" as const, distance: 30 }],
};

const spread = (mean: number | null, deviation: number | null = null) => ({ mean, deviation });
const ABLATIONS = ["NS", "SB", "n-lora"].flatMap((label, i) =>
  ["order-1", "order-2"].map((order, j) => ({
    label,
    order,
    value: label === "SB" && j === 1 ? spread(null) : spread(12.5 + 7 * i - 3 * j, i === 0 ? null : 1.5 + i),
    published: label === "n-lora" ? 79.2 - j : null,
  })),
);
const SWEEP = [
  { lambda: 0, accuracy: spread(15, 2), acr: { abs: 0.66, relRms: 0.37, exact: null } },
  { lambda: 0.02, accuracy: spread(22.9, 1), acr: { abs: 0.011, relRms: 0.07, exact: null } },
  { lambda: 0.4, accuracy: spread(15.6, 0.5), acr: { abs: 0.0001, relRms: 0.1, exact: null } },
];

/** What every mark of a figure says of its place, by the ticks of its axes alone: [series, x, y]. */
function readMarks(svg: Node, scales: { x?: "log"; y?: "log" } = {}): (readonly [string, number, number])[] {
  const [x, y] = [axisOf(svg, "x", scales.x), axisOf(svg, "y", scales.y)];
  return everything(svg)
    .filter(({ attributes }) => attributes["data-series"] !== undefined)
    .flatMap((series) =>
      withClass(series, "mark")
        .filter(({ attributes }) => attributes["data-y"] !== undefined)
        .map((mark) => {
          const [left, top] = placeOf(mark);
          return [series.attributes["data-series"]!, x(left), y(top)] as const;
        }),
    );
}

/** Places are written in hundredths of a pixel; an axis is hundreds of pixels long. */
function expectPoints(
  found: readonly (readonly [string, number, number])[],
  wanted: readonly (readonly [string, number, number])[],
  scales: { x?: "log"; y?: "log" } = {},
): void {
  expect(found.map(([name]) => name)).toEqual(wanted.map(([name]) => name));
  const tolerance = (at: 1 | 2, scale?: "log") => {
    const values = wanted.map((each) => each[at]);
    const span = Math.max(...values) - Math.min(...values);
    return (value: number) => (scale === "log" ? Math.abs(value) * 0.01 : Math.max(span, 1e-9) * 0.001);
  };
  const [x, y] = [tolerance(1, scales.x), tolerance(2, scales.y)];
  wanted.forEach((each, index) => {
    expect(Math.abs(found[index]![1] - each[1])).toBeLessThan(x(each[1]));
    expect(Math.abs(found[index]![2] - each[2])).toBeLessThan(y(each[2]));
  });
}

it("is not read back as drawn when its numbers are shuffled", () => {
  const shuffled = { ...RUN, accuracy: RUN.accuracy.toReversed() };
  const wanted = RUN.tasks.flatMap((task, i) =>
    [RUN.baseAccuracy[i]!, ...RUN.accuracy[i]!].flatMap((value, x) =>
      value === null ? [] : [[`${i + 1} ${task}`, x, value] as const],
    ),
  );
  expectPoints(readMarks(parseSvg(draw(accuracyOverStream(RUN)))), wanted);
  expect(() => expectPoints(readMarks(parseSvg(draw(accuracyOverStream(shuffled)))), wanted)).toThrow();
});

describe("accuracy over the stream", () => {
  it("puts every accuracy where the axes say it is, the base model's first", () => {
    const svg = parseSvg(draw(accuracyOverStream(RUN)));
    const wanted = RUN.tasks.flatMap((task, i) =>
      [RUN.baseAccuracy[i]!, ...RUN.accuracy[i]!].flatMap((value, x) =>
        value === null ? [] : [[`${i + 1} ${task}`, x, value] as const],
      ),
    );
    expectPoints(readMarks(svg), wanted);
    const labels = withClass(svg, "tick").filter(({ attributes }) => attributes["data-axis"] === "x");
    expect(labels.map(({ text }) => text)).toEqual(["base", ...RUN.tasks]);
  });

  it("breaks the line where an accuracy was not measured", () => {
    const svg = parseSvg(draw(accuracyOverStream(RUN)));
    expect(withClass(svg, "line").map(({ attributes }) => attributes.d!.split("M").length - 1)).toEqual([
      1, 1, 2, 1,
    ]);
  });

  it("draws the mean and the newest task where the tasks are many", () => {
    const tasks = Array.from({ length: 20 }, (_, index) => `t${index}`);
    const accuracy = tasks.map((_, i) => tasks.map((_, j) => (j < i ? null : 90 - i - (j - i))));
    const figure = accuracyOverStream({ tasks, accuracy, baseAccuracy: tasks.map(() => null) });
    expect(figure.series.map(({ name }) => name)).toEqual(["mean of the tasks so far", "the newest task"]);
    expectPoints(readMarks(parseSvg(draw(figure))), [
      ...tasks.map((_, j) => ["mean of the tasks so far", j, 90 - j] as const),
      ...tasks.map((_, j) => ["the newest task", j, 90 - j] as const),
    ]);
  });
});

describe("the accuracy matrix", () => {
  it("prints every value in its row and column, darker where it is higher", () => {
    const svg = parseSvg(draw(accuracyMatrix(RUN)));
    const cells = withClass(svg, "cell");
    const box = (cell: Node) => cell.children.find(({ name }) => name === "rect")!.attributes;
    const rows = [...new Set(cells.map((cell) => Number(box(cell).y)))].toSorted((a, b) => a - b);
    const columns = [...new Set(cells.map((cell) => Number(box(cell).x)))].toSorted((a, b) => a - b);
    const read: (string | null)[][] = rows.map(() => columns.map(() => null));
    for (const cell of cells) {
      const at = [rows.indexOf(Number(box(cell).y)), columns.indexOf(Number(box(cell).x))] as const;
      read[at[0]]![at[1]] = cell.children.find(({ name }) => name === "text")!.text;
    }
    expect(read).toEqual(
      RUN.tasks.map((_, i) =>
        [RUN.baseAccuracy[i]!, ...RUN.accuracy[i]!].map((value) => value?.toFixed(1) ?? null),
      ),
    );
    expect(withClass(svg, "missing")).toHaveLength(1);
    const shades = cells.map((cell) => [Number(cell.attributes["data-value"]), box(cell).fill!] as const);
    const byValue = shades
      .toSorted(([one], [other]) => one - other)
      .map(([, fill]) => Number.parseInt(fill.slice(1, 3), 16));
    expect(byValue).toEqual(byValue.toSorted((one, other) => other - one));
  });
});

describe("curves", () => {
  it("puts every step of every task at its place in the run, and leaves a gap for what is no number", () => {
    const svg = parseSvg(draw(lossCurves(CURVES)));
    expectPoints(
      readMarks(svg),
      [
        [1, 6.3],
        [2, 3.1],
        [4, 0.9],
        [5, 7.5],
        [7, 1.4],
      ].map(([x, y]) => ["task loss", x!, y!] as const),
    );
    expect(withClass(svg, "line")[0]!.attributes.d!.match(/M/g)).toHaveLength(3);
    expect(
      withClass(svg, "span").map(({ attributes }) => [attributes["data-from"], attributes["data-to"]]),
    ).toEqual([
      ["0", "4"],
      ["4", "7"],
    ]);
  });

  it("draws many steps as a line without marks, through all of them, on a logarithmic axis where they span much", () => {
    const steps = Array.from({ length: 500 }, (_, index) => index + 1);
    const losses = steps.map((step) => 8 * Math.exp(-step / 80) + 0.02);
    const svg = parseSvg(
      draw(lossCurves([{ ...CURVES[0]!, planned: 500, steps, series: { taskLoss: losses } }])),
    );
    const [x, y] = [axisOf(svg, "x"), axisOf(svg, "y", "log")];
    const corners = cornersOf(withClass(svg, "line")[0]!);
    expect(corners).toHaveLength(500);
    corners.forEach(([left, top], index) => {
      expect(x(left)).toBeCloseTo(steps[index]!, 1);
      expect(Math.abs(y(top) / losses[index]! - 1)).toBeLessThan(0.002);
    });
    expect(withClass(svg, "mark")).toHaveLength(0);
  });

  it("draws penalties and measures where there are any", () => {
    expect(penaltyCurves(CURVES)!.series.map(({ name }) => name)).toEqual(["sparsity"]);
    expect(measureCurves(CURVES).map(({ id }) => id)).toEqual(["measure-density"]);
    expect(penaltyCurves(CURVES.map((each) => ({ ...each, penalties: [] })))).toBeNull();
  });

  it("says so where nothing was measured", () => {
    const svg = parseSvg(draw(lossCurves([])));
    expect(everything(svg).map(({ text }) => text)).toContain("not measured");
  });
});

describe("bars", () => {
  it("are as high as their values, with the deviations and the paper's values at their places", () => {
    const svg = parseSvg(draw(ablations(ABLATIONS)));
    const y = axisOf(svg, "y");
    for (const { label, order, value, published } of ABLATIONS) {
      const series = everything(svg).find(({ attributes }) => attributes["data-series"] === label)!;
      const at = order === "order-1" ? "0" : "1";
      const bar = withClass(series, "bar").find(({ attributes }) => attributes["data-x"] === at);
      if (value.mean === null) {
        expect(bar).toBeUndefined();
        expect(withClass(series, "missing").map((each) => each.children[0]!.text)).toEqual([
          "SB, order-2: not measured",
        ]);
      } else {
        const box = bar!.children.find(({ name }) => name === "rect")!.attributes;
        expect(y(Number(box.y))).toBeCloseTo(value.mean, 1);
        expect(y(Number(box.y) + Number(box.height))).toBeCloseTo(0, 1);
      }
      const mark = withClass(series, "published").find(({ attributes }) => attributes["data-x"] === at);
      if (published === null) expect(mark).toBeUndefined();
      else {
        const [, top] = /^M-?[\d.]+ ([\d.]+)/.exec(mark!.children.at(-1)!.attributes.d!)!;
        expect(y(Number(top))).toBeCloseTo(published, 1);
      }
    }
    const spreads = withClass(svg, "deviation").map(({ attributes }) => {
      const [, top, bottom] = /^M[\d.]+ ([\d.]+)h8m-4 0V([\d.]+)/.exec(attributes.d!)!;
      return (y(Number(top)) - y(Number(bottom))) / 2;
    });
    const wanted = ABLATIONS.map(({ value }) => value.deviation).filter((each) => each !== null);
    spreads.forEach((each, index) => {
      expect(each).toBeCloseTo(wanted[index]!, 1);
    });
    expect(spreads).toHaveLength(wanted.length);
  });

  it("show the base model beside the methods on the unseen task", () => {
    const figure = unseenTask([
      { label: "n-lora", order: "order-1", unseen: spread(12, 1), base: spread(3) },
      { label: "o-lora", order: "order-1", unseen: spread(8, 1), base: spread(3) },
    ]);
    expect(figure.series.map(({ name, values }) => [name, values])).toEqual([
      ["base model", [3]],
      ["n-lora", [12]],
      ["o-lora", [8]],
    ]);
  });
});

describe("scattered points and sweeps", () => {
  /** A panel with the given title. */
  const panel = (svg: Node, title: string): Node => {
    const holds = (node: Node) =>
      everything(node).some(({ name, text }) => name === "text" && text === title);
    return svg.children.filter((node) => node.name === "g" && holds(node)).at(-1)!;
  };

  it("put sparsity, collisions and forgetting where they were measured", () => {
    const points = ["n-lora", "o-lora"].flatMap((label, i) =>
      ["order-1", "order-2"].map((order, j) => ({
        label,
        order,
        gsr: 0.35 + 0.2 * i + 0.03 * j,
        acr: { abs: 0.01 + 0.5 * i + 0.1 * j, relRms: 0.1 + 0.2 * i, exact: 1 },
        forgetting: 12.3 + 10 * i + j,
      })),
    );
    const svg = parseSvg(draw(sparsityCollisionForgetting(points)));
    expectPoints(
      readMarks(panel(svg, "ACR over GSR, |ΔW| > 1e−3")),
      points.map(({ label, gsr, acr }) => [label, gsr, acr.abs] as const),
    );
    expectPoints(
      readMarks(panel(svg, "Forgetting over ACR, |ΔW| > 0.4 rms")),
      points.map(({ label, acr, forgetting }) => [label, acr.relRms, forgetting] as const),
    );
  });

  it("put lambda on a logarithmic axis, 0 before its break", () => {
    const svg = parseSvg(draw(lambdaSweep(SWEEP)));
    const accuracy = panel(svg, "Accuracy over λ");
    const marks = withClass(accuracy, "mark").filter(({ attributes }) => attributes["data-y"] !== undefined);
    const [y, x] = [axisOf(accuracy, "y"), axisOf(accuracy, "x", "log")];
    const zero = withClass(accuracy, "tick").find(({ attributes }) => attributes["data-axis"] === "x")!;
    expect(zero.attributes["data-value"]).toBe("0");
    expect(placeOf(marks[0]!)[0]).toBeCloseTo(Number(zero.attributes["data-at"]), 1);
    marks.forEach((mark, index) => {
      const [left, top] = placeOf(mark);
      expect(y(top)).toBeCloseTo(SWEEP[index]!.accuracy.mean!, 1);
      if (index > 0) expect(Math.abs(x(left) / SWEEP[index]!.lambda - 1)).toBeLessThan(0.01);
    });
    const both = panel(svg, "Accuracy against collisions");
    expectPoints(
      readMarks(both, { x: "log" }),
      [
        ...SWEEP.map(({ acr, accuracy }) => ["|ΔW| > 1e−3", acr.abs, accuracy.mean!] as const),
        ...SWEEP.map(({ acr, accuracy }) => ["|ΔW| > 0.4 rms", acr.relRms, accuracy.mean!] as const),
      ],
      { x: "log" },
    );
  });
});

describe("adapters", () => {
  it("have a mark for the nuclear norm of every module, and a line at their mean", () => {
    const modules = [0, 1, 2].flatMap((block) =>
      ["q", "v"].map((name) => `encoder.block.${block}.layer.0.SelfAttention.${name}`),
    );
    const [one, other] = [
      modules.map((_, i) => 5 + i),
      modules.map((_, i) => (i === 2 ? null : 0.1 + 0.05 * i)),
    ];
    const svg = parseSvg(
      draw(
        nuclearNorms(modules, [
          { name: "o-lora", norms: one },
          { name: "n-lora", norms: other },
        ]),
      ),
    );
    expectPoints(
      readMarks(svg, { y: "log" }),
      [
        ...one.map((norm, x) => ["o-lora", x, norm] as const),
        ...other.flatMap((norm, x) => (norm === null ? [] : [["n-lora", x, norm] as const])),
      ],
      { y: "log" },
    );
    const means = withClass(svg, "reference").map(({ attributes }) => Number(attributes["data-value"]));
    expect(means[0]).toBeCloseTo(7.5, 9);
    expect(means[1]).toBeCloseTo((0.1 + 0.15 + 0.25 + 0.3 + 0.35) / 5, 9);
    expect(withClass(svg, "tick").filter(({ attributes }) => attributes["data-axis"] === "x")[0]!.text).toBe(
      "enc 0 q",
    );
  });

  const mapOf = (height: number, width: number, per: number): CollisionMap => {
    const cell = (k: number) => [(k * 7) % (per * per + 1), (k * 3) % 2, 0] as const;
    const counts = Array.from({ length: height * width }, (_, k) => {
      const [a, b] = cell(k);
      const onlyA = Math.min(a, per * per);
      const onlyB = Math.min(b, per * per - onlyA);
      return { onlyA, onlyB, both: k % 5 === 0 ? per * per - onlyA - onlyB : 0 };
    });
    const edges = (parts: number) => Array.from({ length: parts + 1 }, (_, k) => k * per);
    return collisionMap(
      {
        module: "encoder.block.0.layer.0.SelfAttention.q",
        a: "dbpedia",
        b: "amazon",
        outputs: height * per,
        inputs: width * per,
        height,
        width,
        rowEdges: edges(height),
        columnEdges: edges(width),
        onlyA: counts.map(({ onlyA }) => onlyA),
        onlyB: counts.map(({ onlyB }) => onlyB),
        both: counts.map(({ both }) => both),
      },
      "|ΔW| > 1e−3",
    );
  };

  /** Levels by cell, read off the paths of a layer. */
  function levelsOf(layer: Node, rows: number, columns: number): number[] {
    const levels = Array.from({ length: rows * columns }, () => 0);
    for (const path of layer.children) {
      for (const [, x, y, run] of path.attributes.d!.matchAll(/M(\d+) (\d+)h(\d+)/g)) {
        for (let k = 0; k < Number(run); k++)
          levels[Number(y) * columns + Number(x) + k] = Number(path.attributes["data-level"]);
      }
      expect(Number(path.attributes["stroke-opacity"])).toBe(Number(path.attributes["data-level"]) / 8);
    }
    return levels;
  }

  it.each([
    [6, 9, 2],
    [130, 40, 3],
  ])("show which places of %d x %d cells they use, alone and over each other", (height, width, per) => {
    const map = mapOf(height, width, per);
    const grid = coarser(map);
    const svg = parseSvg(draw(map));
    const [a, b, together] = withClass(svg, "panel") as [Node, Node, Node];
    const share = (k: number, ...counts: number[][]) =>
      counts.reduce((sum, each) => sum + each[k]!, 0) / grid.sizes[k]!;
    const wanted = (...counts: number[][]) => grid.sizes.map((_, k) => levelOf(share(k, ...counts)));
    const layer = (panel: Node, what: string) =>
      levelsOf(
        withClass(panel, "cells").find(({ attributes }) => attributes["data-what"] === what)!,
        grid.rows,
        grid.columns,
      );
    expect(layer(a, "a")).toEqual(wanted(grid.onlyA, grid.both));
    expect(layer(b, "b")).toEqual(wanted(grid.onlyB, grid.both));
    expect(layer(together, "a")).toEqual(wanted(grid.onlyA));
    expect(layer(together, "b")).toEqual(wanted(grid.onlyB));
    expect(layer(together, "both")).toEqual(wanted(grid.both));
    const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
    expect(sum(grid.sizes)).toBe(map.outputs * map.inputs);
    expect([sum(grid.onlyA), sum(grid.onlyB), sum(grid.both)]).toEqual([
      sum(map.onlyA),
      sum(map.onlyB),
      sum(map.both),
    ]);
    expect(grid.rows).toBeLessThanOrEqual(96);
  });
});

it("a stream without boundaries shows its answers as they came, its tasks and its alarms", () => {
  const svg = parseSvg(draw(prequentialCurve(ONLINE)));
  expectPoints(
    readMarks(svg),
    ONLINE.curve.map(([x, y]) => ["the last 50 rows", x, y]),
  );
  const text = draw(prequentialCurve(ONLINE));
  for (const word of ["diary", "scenes", "alarms, row 120 (other inputs)."]) expect(text).toContain(word);
  expect(draw(prequentialCurve({ ...ONLINE, alarms: [] }))).not.toContain("Dashed");
  const many = { ...ONLINE, alarms: ONLINE.alarms.flatMap((each) => new Array<typeof each>(9).fill(each)) };
  expect(draw(prequentialCurve(many))).toContain("and 3 more.");
});

const HOSTILE = `<script>alert(1)</script>"'&]]>\u0000\u202e${"x".repeat(300)}`;

const all = (name: string): Figure[] => [
  accuracyOverStream({ ...RUN, tasks: RUN.tasks.map(() => name) }),
  accuracyMatrix({ ...RUN, tasks: RUN.tasks.map(() => name) }),
  lossCurves(CURVES.map((each) => ({ ...each, task: name }))),
  prequentialCurve({ ...ONLINE, tasks: ONLINE.tasks.map((each) => ({ ...each, task: name })) }),
  ablations(ABLATIONS.map((cell) => ({ ...cell, label: name + cell.label, order: name + cell.order }))),
  lambdaSweep(SWEEP, name),
  sparsityCollisionForgetting([
    { label: name, order: name, gsr: 0.3, acr: { abs: 0.1, relRms: 0.2, exact: null }, forgetting: 3 },
  ]),
  nuclearNorms([name, `${name}2`], [{ name, norms: [1, 2] }]),
  collisionMap(
    {
      module: name,
      a: name,
      b: name,
      outputs: 1,
      inputs: 2,
      height: 1,
      width: 2,
      rowEdges: [0, 1],
      columnEdges: [0, 1, 2],
      onlyA: [1, 0],
      onlyB: [0, 0],
      both: [0, 1],
    },
    name,
  ),
];

const ALLOWED = new Set(["svg", "title", "desc", "style", "defs", "pattern", "g", "path", "rect", "text"]);

it("lets no name from outside become markup", () => {
  fc.assert(
    fc.property(fc.oneof(fc.constant(HOSTILE), fc.string({ unit: "binary", maxLength: 60 })), (name) => {
      for (const figure of all(name)) {
        const nodes = everything(parseSvg(draw(figure)));
        expect(nodes.filter((node) => !ALLOWED.has(node.name))).toEqual([]);
        expect(
          nodes.flatMap(({ attributes }) => Object.keys(attributes)).filter((key) => /^on|href/.test(key)),
        ).toEqual([]);
      }
    }),
    { numRuns: 5 },
  );
});

it("names and describes every figure for those who do not see it, and every mark", () => {
  for (const figure of all("a & b")) {
    const svg = parseSvg(draw(figure));
    const byId = (id: string) => everything(svg).find(({ attributes }) => attributes.id === id)!.text;
    expect(svg.attributes.role).toBe("img");
    expect(svg.attributes["aria-labelledby"]!.split(" ").map(byId)).toEqual([
      figure.title,
      figure.description,
    ]);
    for (const mark of everything(svg).filter(({ attributes }) => attributes["data-y"] !== undefined)) {
      expect(mark.children.find(({ name }) => name === "title")?.text).toBeTruthy();
    }
    const ids = everything(svg).flatMap(({ attributes }) => attributes.id ?? []);
    expect(new Set(ids).size).toBe(ids.length);
  }
});

it("draws every figure of numbers at random with all its marks inside it, and asks for nothing from elsewhere", () => {
  const value = fc.option(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { nil: null });
  fc.assert(
    fc.property(
      fc.array(fc.array(value, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 4 }),
      (values) => {
        const width = Math.max(...values.map((row) => row.length));
        const figure: Figure = {
          kind: "chart",
          id: "x",
          title: "t",
          description: "d",
          x: { label: "x", categories: Array.from({ length: width }, (_, k) => `c${k}`) },
          y: { label: "y" },
          lines: true,
          series: values.map((row, k) => ({ name: `s${k}`, points: row.map((y, x) => ({ x, y })) })),
        };
        const text = draw(figure);
        expect(text).not.toMatch(/NaN|Infinity|undefined|https?:(?!\/\/www\.w3\.org\/2000\/svg)/);
        const svg = parseSvg(text);
        const marks = withClass(svg, "mark").filter(({ attributes }) => attributes["data-y"] !== undefined);
        expect(marks).toHaveLength(values.flat().filter((each) => each !== null).length);
        for (const [x, y] of marks.map(placeOf)) {
          expect(x).toBeGreaterThanOrEqual(0);
          expect(x).toBeLessThanOrEqual(Number(svg.attributes.width));
          expect(y).toBeGreaterThanOrEqual(0);
          expect(y).toBeLessThanOrEqual(Number(svg.attributes.height));
        }
      },
    ),
  );
});

it("gives the exact numbers of a figure as a table and as CSV, empty where not measured", () => {
  const [table] = dataTables(accuracyMatrix(RUN));
  expect(table!.rows[2]).toEqual(["3 yahoo", 0, null, 0, 25.2, 3.8]);
  expect(csvOf([table!]).split("\n")[3]).toBe("3 yahoo,0,,0,25.2,3.8");
  expect(csvOf([{ title: "t", header: ["a"], rows: [["=1+1"], ['say "x", y'], [-2]] }])).toBe(
    `a\n'=1+1\n"say ""x"", y"\n-2\n`,
  );
  const panels = dataTables(lambdaSweep(SWEEP));
  expect(panels).toHaveLength(3);
  expect(panels[0]!.rows).toEqual([
    ["AA", 0, 15, 2],
    ["AA", 0.02, 22.9, 1],
    ["AA", 0.4, 15.6, 0.5],
  ]);
});

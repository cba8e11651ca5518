import fc from "fast-check";
import { expect, it } from "vitest";
import { finishedRun as run } from "../../test/support/finished-run.js";
import { claimsOf } from "./claims.js";
import { PAPER_ACCURACY } from "./paper.js";
import { csvOf, markdownOf } from "./render.js";
import { cellsOf, populationDeviation, rowsOf, spreadOf } from "./summary.js";

it("the population deviation of the order means is the paper's Table 8 average column", () => {
  expect(populationDeviation([75.03, 76.12, 76.58])).toBeCloseTo(0.65, 2);
  expect(populationDeviation([72.39, 64.55, 71.03])).toBeCloseTo(3.42, 2);
  expect(populationDeviation([79.14, 78.29, 77.91])).toBeCloseTo(0.51, 2);
  expect(populationDeviation([73.85, 70.09, 73.07])).toBeCloseTo(1.62, 2);
});

it("a spread is the mean and the sample deviation, and null where a value is missing", () => {
  expect(spreadOf([1, 2, 3])).toEqual({ mean: 2, deviation: 1 });
  expect(spreadOf([4])).toEqual({ mean: 4, deviation: null });
  expect(spreadOf([4, null])).toEqual({ mean: null, deviation: null });
  expect(spreadOf([])).toEqual({ mean: null, deviation: null });
  fc.assert(
    fc.property(
      fc.array(fc.float({ min: -100, max: 100, noNaN: true }), { minLength: 2 }),
      fc.float({ min: -50, max: 50, noNaN: true }),
      (values, shift) => {
        const [plain, moved] = [spreadOf(values), spreadOf(values.map((value) => value + shift))];
        expect(moved.mean!).toBeCloseTo(plain.mean! + shift, 3);
        expect(moved.deviation!).toBeCloseTo(plain.deviation!, 3);
      },
    ),
  );
});

it("averages orders within a seed before it looks at the deviation over seeds, and leaves incomplete seeds out", () => {
  const runs = [
    run("n-lora", "order-1", 1, 10),
    run("n-lora", "order-2", 1, 30),
    run("n-lora", "order-1", 2, 14),
    run("n-lora", "order-2", 2, 30),
    run("n-lora", "order-1", 3, 90),
    run("o-lora", "order-1", 1, 8),
    run("o-lora", "order-2", 1, 12),
    run("o-lora", "order-3", 1, 99),
  ];
  const [first, second] = rowsOf(runs);
  expect(first!.orders).toEqual(["order-1", "order-2"]);
  expect(first!.figures.averageAccuracy).toEqual({ mean: 21, deviation: Math.SQRT2 });
  expect(second!.figures.averageAccuracy).toEqual({ mean: 10, deviation: null });
  expect(first!.figures.deltaNorm.mean).toBe(2);
  const cell = cellsOf(runs)[0]!;
  expect([cell.seeds, cell.averageAccuracy.mean, cell.paperAccuracy]).toEqual([
    [1, 2, 3],
    38,
    PAPER_ACCURACY["n-lora"]!["order-1"],
  ]);
});

it("tests each claim by its own measure: points by seed, factors on means", () => {
  const strong = { acr: { abs: 0.001, relRms: 0.05, exact: 1 }, orthogonalOverlap: { squared: 4, abs: 1 } };
  const runs = [
    run("n-lora", "order-1", 1, 26, { ...strong, awom: { spectral: 0.5, frobenius: 1 }, forgettingRate: 30 }),
    run("o-lora", "order-1", 1, 20),
  ];
  const claims = claimsOf(runs, rowsOf(runs), cellsOf(runs));
  const verdicts = Object.fromEntries(claims.map(({ claim, verdict }) => [claim, verdict]));
  expect(verdicts).toEqual({
    "AA of N-LoRA above O-LoRA's": "reproduced",
    "OO lower (squared)": "not reproduced",
    "OO lower (abs)": "partly",
    "ACR lower (|dW| > 1e-3)": "reproduced",
    "ACR lower (|dW| > 0.4 rms)": "partly",
    "AWOM lower (spectral)": "partly",
    "F.Ra lower": "not reproduced",
  });
  expect(claimsOf([runs[0]!], rowsOf([runs[0]!]), [])).toEqual([]);
});

it("calls less forgetting that is within what seeds differ partly reproduced", () => {
  const forgetting = (label: string, seed: number, forgettingRate: number) =>
    run(label, "order-1", seed, 20, { forgettingRate });
  const runs = [
    forgetting("n-lora", 1, 30),
    forgetting("o-lora", 1, 35),
    forgetting("n-lora", 2, 34),
    forgetting("o-lora", 2, 33),
  ];
  const claim = claimsOf(runs, rowsOf(runs), []).find((each) => each.claim === "F.Ra lower");
  expect(claim).toMatchObject({
    measured: "by 2.0 points (± 4.2 over seeds): 32.0 against 34.0",
    verdict: "partly",
  });
});

it("tests our own aims order by order: a higher AA counts where collisions are no more frequent", () => {
  const acr = (abs: number, relRms: number) => ({ acr: { abs, relRms, exact: 1 } });
  const runs = [
    run("n-lora", "order-1", 1, 24, acr(0.02, 0.1)),
    run("n-lora", "order-2", 1, 24, acr(0.02, 0.1)),
    run("n-lora", "order-3", 1, 24, acr(0.02, 0.1)),
    run("null-space-lora", "order-1", 1, 38, acr(0.02, 0.09)),
    run("null-space-lora", "order-2", 1, 30, acr(0.03, 0.1)),
    run("null-space-lora", "order-3", 1, 20, acr(0.01, 0.01)),
    run("norms of n-lora", "order-1", 1, 30),
    run("norms of n-lora", "order-2", 1, 30),
    run("norms of n-lora", "order-3", 1, 30),
  ];
  const claims = claimsOf(runs, rowsOf(runs), cellsOf(runs));
  expect(claims.map(({ claim, verdict }) => [claim, verdict])).toEqual([
    ["AA of N-LoRA above that of its norms alone", "not reproduced"],
    ["AA of null-space-lora above N-LoRA's at no higher ACR (|dW| > 1e-3)", "partly"],
    ["AA of null-space-lora above N-LoRA's at no higher ACR (|dW| > 0.4 rms)", "reproduced"],
  ]);
  expect(claims[1]!.measured).toBe(
    "order-1 +14.0 points at 0.02 against 0.02; order-2 +6.0 points at 0.03 against 0.02; order-3 -4.0 points at 0.01 against 0.02",
  );
});

it("renders every row as Markdown and every figure as CSV", () => {
  const runs = [
    run("n-lora", "order-1", 1, 26),
    run("n-lora", "order-1", 2, 28),
    run("o-lora", "order-1", 1, 20),
  ];
  const rows = rowsOf(runs);
  const summary = {
    study: "table-1",
    title: "Title",
    scale: "mini",
    done: 3,
    runs: 4,
    failed: [],
    cells: cellsOf(runs),
    rows,
    claims: claimsOf(runs, rows, cellsOf(runs)),
  };
  const markdown = markdownOf(summary);
  expect(markdown).toContain("| n-lora | 27.0 ± 1.4 | 27.0 ± 1.4 |  | 2 | 79.2 |");
  expect(markdown).toContain(
    "| AA of N-LoRA above O-LoRA's | 2.9 points or more | 6.0 points (one seed) | reproduced |",
  );
  const lines = csvOf(summary).trim().split("\n");
  expect(lines).toContain(`n-lora,n-lora,order-1,averageAccuracy,27,${Math.SQRT2},2`);
  expect(lines.every((line) => line.split(",").length === 7)).toBe(true);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { Rng } from "../random.js";
import {
  batchesPerEpoch,
  causalBatch,
  evaluationBatches,
  padBatch,
  planBatches,
  SOURCE_MULTIPLE,
  seq2seqBatch,
} from "./batches.js";

const someLengths = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 300 });
const buckets = fc.constantFrom("none" as const, "length" as const);

test("every row comes exactly once per epoch, in full batches but one", () => {
  fc.assert(
    fc.property(
      someLengths,
      fc.integer({ min: 1, max: 9 }),
      buckets,
      fc.nat(),
      (lengths, size, bucket, seed) => {
        const plan = { batchSize: size, rng: new Rng(seed), epochs: 2, bucket };
        const batches = [...planBatches(lengths, plan)];
        const perEpoch = batchesPerEpoch(lengths.length, size);
        expect(batches.length).toBe(2 * perEpoch);
        for (const epoch of [batches.slice(0, perEpoch), batches.slice(perEpoch)]) {
          expect(epoch.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, index) => index));
          expect(epoch.filter((batch) => batch.length !== size).length).toBeLessThanOrEqual(1);
        }
      },
    ),
  );
});

test("the plan is a function of the seed: same seed, same batches; other seed or epoch, other batches", () => {
  const lengths = Array.from({ length: 100 }, (_, index) => 1 + (index % 17));
  const plan = (seed: number) => [...planBatches(lengths, { batchSize: 8, rng: new Rng(seed), epochs: 2 })];
  expect(plan(3)).toEqual(plan(3));
  expect(plan(3)).not.toEqual(plan(4));
  expect(plan(3).slice(0, 13)).not.toEqual(plan(3).slice(13));
});

test("length buckets cut the padding of uneven rows to less than a third and still mix the order of batches", () => {
  const rng = new Rng(1);
  const lengths = Array.from({ length: 3000 }, () => 20 + rng.integer(200));
  const batches = (bucket: "none" | "length") => [
    ...planBatches(lengths, { batchSize: 32, rng: new Rng(5), epochs: 1, bucket }),
  ];
  const padding = (all: number[][]) => {
    const longest = (batch: number[]) => Math.max(...batch.map((row) => lengths[row]!));
    const sum = (batch: number[]) => batch.reduce((total, row) => total + lengths[row]!, 0);
    return all.reduce((total, batch) => total + longest(batch) * batch.length - sum(batch), 0);
  };
  expect(padding(batches("length"))).toBeLessThan(padding(batches("none")) / 3);
  const widths = batches("length").map((batch) => lengths[batch[0]!]!);
  const rises = widths.filter((width, index) => index > 0 && width > widths[index - 1]!).length;
  expect(rises).toBeGreaterThan(30);
  expect(rises).toBeLessThan(64);
});

test("evaluation batches hold every row once, longest first", () => {
  expect(evaluationBatches([3, 9, 1, 9, 5], 2)).toEqual([[1, 3], [4, 0], [2]]);
});

test("a batch size that is no positive integer and an empty split are refused", () => {
  const plan = { rng: new Rng(0), epochs: 1 };
  expect(() => [...planBatches([1], { ...plan, batchSize: 0 })]).toThrowError(/batch size.*found 0/);
  expect(() => [...planBatches([], { ...plan, batchSize: 1 })]).toThrowError(/no rows/);
  expect(() => evaluationBatches([1], 1.5)).toThrowError(/batch size/);
});

test("padding fills each row's end and the mask marks the row's own tokens, also those equal to the padding", () => {
  const padded = padBatch([[5, 0], [7, 8, 9], [4]], 0);
  expect(padded.shape).toEqual([3, 3]);
  expect([...padded.ids]).toEqual([5, 0, 0, 7, 8, 9, 4, 0, 0]);
  expect([...padded.mask]).toEqual([1, 1, 0, 1, 1, 1, 1, 0, 0]);
  expect(padded.tokens).toBe(6);
  expect(() => padBatch([[], []], 0)).toThrowError(/2 rows has no tokens/);
});

test("rows can be padded further, to a multiple of a number of tokens", () => {
  const padded = padBatch(
    [
      [5, 6],
      [7, 8, 9, 4, 3],
    ],
    0,
    4,
  );
  expect(padded.shape).toEqual([2, 8]);
  expect([...padded.ids]).toEqual([5, 6, 0, 0, 0, 0, 0, 0, 7, 8, 9, 4, 3, 0, 0, 0]);
  expect([...padded.mask]).toEqual([1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0]);
  expect(padded.tokens).toBe(7);
  expect(padBatch([[1, 2, 3, 4]], 0, 4).shape).toEqual([1, 4]);
});

test("sources of an encoder-decoder batch are padded to a multiple of tokens, labels with -100 to the longest", () => {
  const rows = [
    { source: [3, 1], target: [4, 1] },
    { source: [3, 5, 1], target: [6, 7, 1] },
  ];
  const { source, labels } = seq2seqBatch(rows, 0);
  expect(source.shape).toEqual([2, SOURCE_MULTIPLE]);
  const filled = (ids: number[]) => [...ids, ...Array<number>(SOURCE_MULTIPLE - ids.length).fill(0)];
  expect([...source.ids]).toEqual([...filled([3, 1]), ...filled([3, 5, 1])]);
  expect(source.tokens).toBe(5);
  expect([...labels.ids]).toEqual([4, 1, -100, 6, 7, 1]);
  expect(labels.shape).toEqual([2, 3]);
});

test("puts a decoder's targets behind their sources, pads behind both and takes the loss on targets alone", () => {
  const rows = [
    { source: [1, 5, 6], target: [7, 2] },
    { source: [1, 8], target: [9, 9, 2] },
    { source: [1], target: [2] },
  ];
  const { source, labels } = causalBatch(rows, 0);
  const head = (values: Int32Array | Uint8Array, row: number) =>
    Array.from(values.slice(row * SOURCE_MULTIPLE, row * SOURCE_MULTIPLE + 6));
  expect(source.shape).toEqual([3, SOURCE_MULTIPLE]);
  expect(labels.shape).toEqual(source.shape);
  expect([0, 1, 2].map((row) => head(source.ids, row))).toEqual([
    [1, 5, 6, 7, 2, 0],
    [1, 8, 9, 9, 2, 0],
    [1, 2, 0, 0, 0, 0],
  ]);
  expect([0, 1, 2].map((row) => head(source.mask, row))).toEqual([
    [1, 1, 1, 1, 1, 0],
    [1, 1, 1, 1, 1, 0],
    [1, 1, 0, 0, 0, 0],
  ]);
  expect([0, 1, 2].map((row) => head(labels.ids, row))).toEqual([
    [-100, -100, -100, 7, 2, -100],
    [-100, -100, 9, 9, 2, -100],
    [-100, 2, -100, -100, -100, -100],
  ]);
});

test("pads prompts on the left when told to", () => {
  const { ids, mask } = padBatch([[5, 6, 7], [8]], 0, 4, "start");
  expect(Array.from(ids)).toEqual([0, 5, 6, 7, 0, 0, 0, 8]);
  expect(Array.from(mask)).toEqual([0, 1, 1, 1, 0, 0, 0, 1]);
});

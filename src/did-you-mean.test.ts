import fc from "fast-check";
import { expect, it } from "vitest";
import { didYouMean, editDistance } from "./did-you-mean.js";

it("finds the word that a slip was meant to be, whatever its case and separators", () => {
  const keys = ["batchSize", "microBatchSize", "learningRate", "epochs"];
  expect(didYouMean("batch_size", keys)).toBe("batchSize");
  expect(didYouMean("learnigRate", keys)).toBe("learningRate");
  expect(didYouMean("Epoch", keys)).toBe("epochs");
});

it("stays silent where nothing is near", () => {
  expect(didYouMean("colour", ["batchSize", "epochs"])).toBeUndefined();
  expect(didYouMean("x", [])).toBeUndefined();
});

it("the distance counts single changes, in both directions alike", () => {
  expect(editDistance("kitten", "sitting")).toBe(3);
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (a, b, c) => {
      expect(editDistance(a, a)).toBe(0);
      expect(editDistance(a, b)).toBe(editDistance(b, a));
      expect(editDistance(a, c)).toBeLessThanOrEqual(editDistance(a, b) + editDistance(b, c));
      expect(editDistance(a, a + b)).toBe(b.length);
    }),
  );
});

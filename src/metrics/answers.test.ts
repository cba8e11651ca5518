import fc from "fast-check";
import { expect, test } from "vitest";
import { isExactMatch, isOutOfLabel, normalizeAnswer, scoreAnswers } from "./answers.js";

test("normalisation lowers case, removes every ASCII punctuation mark and collapses white space", () => {
  expect(normalizeAnswer("  Society &\tCulture.\n")).toBe("society culture");
  expect(normalizeAnswer("a!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~b")).toBe("ab");
  expect(normalizeAnswer("« Ünïted »")).toBe("« ünïted »");
});

test("normalising twice changes nothing more", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      const once = normalizeAnswer(text);
      expect(normalizeAnswer(once)).toBe(once);
    }),
  );
});

test("a prediction matches whatever its case and punctuation, but not with other words", () => {
  expect(isExactMatch("science or technology.", "Science or Technology")).toBe(true);
  expect(isExactMatch("very  Negative", "very negative")).toBe(true);
  expect(isExactMatch("negative", "very negative")).toBe(false);
});

test("a wrong label is in the label set, another word is out of it", () => {
  expect(isOutOfLabel("sports", ["World", "Sports"])).toBe(false);
  expect(isOutOfLabel("Health", ["World", "Sports"])).toBe(true);
  expect(isOutOfLabel("", ["World", "Sports"])).toBe(true);
});

test("a score counts matches in percent and out-of-label answers as a share; null where there is nothing", () => {
  const answers = [
    { prediction: "World", target: "World" },
    { prediction: "sports", target: "World" },
    { prediction: "Health", target: "World" },
    { prediction: "Sports.", target: "Sports" },
  ];
  expect(scoreAnswers(answers, ["World", "Sports"])).toEqual({ accuracy: 50, outOfLabelRate: 0.25, rows: 4 });
  expect(scoreAnswers(answers, null)).toEqual({ accuracy: 50, outOfLabelRate: null, rows: 4 });
  expect(scoreAnswers([], ["World"])).toEqual({ accuracy: null, outOfLabelRate: null, rows: 0 });
});

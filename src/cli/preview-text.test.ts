import { expect, it } from "vitest";
import type { Preview } from "../experiment/preview.js";
import { previewText } from "./preview-text.js";

const preview: Preview = {
  model: "builtin",
  family: "seq2seq",
  truncate: "end",
  tasks: [
    {
      task: "mood",
      notes: ["read as text-label (csv): input from text, output from label; 2 labels"],
      labels: [
        { label: "good", train: 3, test: 1 },
        { label: "b\u001b[31mad", train: 9, test: 0 },
      ],
      lengths: [
        {
          task: "mood",
          split: "train",
          rows: 12,
          median: 14,
          p95: 31,
          max: 31,
          truncated: 1,
          limit: 30,
          targetsTruncated: 2,
        },
      ],
      histogram: { width: 10, counts: [1, 8, 0, 3] },
      shared: 0,
      rows: [
        {
          row: 4,
          source: { text: "one\ntwo\u001b[2J \u202Eabc é 👩‍👩‍👧</s>", tokens: 30, cut: 1 },
          target: { text: "good</s>", tokens: 2, cut: 0 },
        },
      ],
    },
  ],
};

it("a preview shows how rows were read, what is cut, lengths as bars, labels and rows", () => {
  expect(previewText(preview)).toBe(`read by builtin: source and target apart

task mood
  read as text-label (csv): input from text, output from label; 2 labels
  1 of 12 sources are longer than the limit: they lose their end and what the prompt has there (truncate: end)
  2 of 12 targets are longer than the limit: they lose their end

lengths in tokens  split  rows  median  95 %  max  limit  cut
─────────────────  ─────  ────  ──────  ────  ───  ─────  ───
mood               train    12      14    31   31     30    1

tokens of training sources
  0–9  1  █████
10–19  8  ████████████████████████████████████████
20–29  0
30–39  3  ███████████████  ← limit

label          train  test
─────────────  ─────  ────
good               3     1
b\\u{1b}[31mad      9     0

row 4
  source, 30 tokens, 1 more cut off
  │ one
  │ two\\u{1b}[2J \\u{202e}abc é 👩‍👩‍👧</s>
  target, 2 tokens
  │ good</s>`);
});

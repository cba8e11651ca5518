/** Label sets: given, stored with the data, or found in it; and whole numbers that stand for labels. */
import { DataError } from "../errors.js";
import { readJsonValue } from "./records/json.js";
import { describe, excerpt, oneLine } from "./records/record.js";
import type { Row } from "./rows.js";

/** labels.json: a non-empty array of distinct, non-empty strings in the order of the option line. */
export function readLabels(path: string): string[] {
  const values = readJsonValue(path);
  if (!Array.isArray(values) || !values.every((value) => typeof value === "string")) {
    throw new DataError(`${path}: expected a JSON array of label strings, found ${describe(values)}`);
  }
  checkLabelSet(values, path);
  return values;
}

/** Throws unless the labels are distinct, non-empty strings and there is at least one. */
export function checkLabelSet(labels: readonly string[], where: string): void {
  if (labels.length === 0) throw new DataError(`${where}: the label set is empty`);
  const blank = labels.findIndex((label) => label.trim() === "");
  if (blank >= 0) throw new DataError(`${where}: label ${blank + 1} is blank`);
  const twice = labels.find((label, index) => labels.indexOf(label) !== index);
  if (twice !== undefined) throw new DataError(`${where}: the label "${twice}" is listed twice`);
}

/** The rows, if each has a label of the set (null: any). Throws a DataError. */
export function checkLabels<Labelled extends Pick<Row, "label" | "where">>(
  rows: readonly Labelled[],
  labels: readonly string[] | null,
): readonly Labelled[] {
  const set = labels && new Set(labels);
  const wrong = set && rows.find((row) => !set.has(row.label));
  if (!wrong) return rows;
  throw notInSet(wrong.where, wrong.label, labels ?? []);
}

/** A label as it stands in the data. */
export interface RawLabel {
  readonly label: string | number | bigint | boolean;
  readonly where: string;
}

export interface LabelSources {
  /** As the configuration gives them. */
  readonly given: readonly string[] | null;
  /** As the data's own metadata has them, in the order of their numbers. */
  readonly stored: readonly string[] | null;
  /** Whether distinct labels of the data make a label set. */
  readonly collect: boolean;
}

export interface LabelSet {
  /** Null: the outputs are free text. */
  readonly labels: readonly string[] | null;
  /** The word of a label. */
  wordOf(raw: RawLabel): string;
}

/** More distinct outputs than this are no label set. */
const MAX_COLLECTED = 100;

/**
 * The label set of a task. Labels that all are words of the set are taken as they are; else whole numbers (also as text, and
 * false and true) count from 0 into the set. Throws a DataError for numbers without names and labels outside the set.
 */
export function labelSet(rows: readonly RawLabel[], { given, stored, collect }: LabelSources): LabelSet {
  const labels = given ?? stored;
  if (labels === null) return withoutNames(rows, collect);
  const words = new Set(labels);
  if (rows.every(({ label }) => words.has(String(label))))
    return { labels, wordOf: ({ label }) => String(label) };
  const noNumber = rows.find(({ label }) => numberOf(label) === null);
  if (noNumber) {
    const stray = words.has(String(noNumber.label))
      ? rows.find(({ label }) => !words.has(String(label)))
      : noNumber;
    throw notInSet((stray ?? noNumber).where, String((stray ?? noNumber).label), labels);
  }
  if (given && stored && given.length !== stored.length) {
    throw new DataError(
      `${rows[0]!.where}: the labels are numbers of ${stored.length} classes (${stored.join(", ")}), but labels names ${given.length}`,
      { hint: "give one label for each class, in this order" },
    );
  }
  return {
    labels,
    wordOf: ({ label, where }) => {
      const word = labels[numberOf(label) ?? -1];
      if (word !== undefined) return word;
      throw new DataError(
        `${where}: the label ${label} is not one of 0 to ${labels.length - 1} (${labels.join(", ")})`,
        {
          hint:
            Number(label) === -1
              ? "-1 stands for a row without a label, as in test splits that are kept secret; use another split"
              : "labels are counted from 0; name every one of them in labels",
        },
      );
    },
  };
}

function withoutNames(rows: readonly RawLabel[], collect: boolean): LabelSet {
  const number = rows.find(({ label }) => (collect ? numberOf(label) !== null : typeof label !== "string"));
  if (number) {
    throw new DataError(
      `${number.where}: the label ${number.label} is a number, and the names of the labels are not known`,
      {
        hint: 'set the task\'s labels in the order of the numbers: labels: [name of 0, name of 1]; labels: ["0", "1"] keeps the digits',
      },
    );
  }
  const found = collect ? [...new Set(rows.map(({ label }) => String(label)))].sort() : [];
  return {
    labels: collect && found.length <= MAX_COLLECTED ? found : null,
    wordOf: ({ label }) => String(label),
  };
}

/** The whole number that a label is or writes, or null. */
function numberOf(label: RawLabel["label"]): number | null {
  if (typeof label === "string") return /^-?\d+(\.0+)?$/.test(label.trim()) ? Number(label) : null;
  const value = Number(label);
  return Number.isInteger(value) ? value : null;
}

function notInSet(where: string, label: string, labels: readonly string[]): DataError {
  const set = oneLine(labels.join(", "));
  return new DataError(`${where}: the label "${excerpt(label)}" is not in the label set (${set})`);
}

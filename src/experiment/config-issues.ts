/** Turns what is wrong with a configuration into lines that point at the place: `file.yaml:12:3: training.batchSize: ...`. */
import { type Document, isMap, isNode, isScalar, type LineCounter } from "yaml";
import type { z } from "zod";
import { didYouMean } from "../did-you-mean.js";

export type Path = readonly (string | number)[];

/** One thing that is wrong, and the setting it is wrong with. */
export interface Problem {
  readonly path: Path;
  readonly message: string;
}

/** A setting given outside the file, and how: `--seed 7`. */
export interface Override {
  readonly path: Path;
  readonly value: unknown;
  readonly label: string;
}

/** Where a configuration came from. */
export interface Origin {
  readonly file: string;
  readonly document: Document;
  readonly lines: LineCounter;
  readonly overrides: readonly Override[];
}

/** The problems behind a failed validation of `input`, one for each wrong value and each unknown key. */
export function problemsOf(error: z.ZodError, input: unknown): Problem[] {
  return error.issues.flatMap((issue): Problem[] => {
    const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
    if (issue.code !== "unrecognized_keys") {
      return [{ path, message: wrongValue(issue.message, valueAt(input, path)) }];
    }
    const known = issue.message.split(", ");
    return issue.keys.map((key) => {
      const meant = didYouMean(key, known);
      const help = meant === undefined ? `known here: ${known.join(", ")}` : `did you mean ${meant}?`;
      return { path: [...path, key], message: `unknown key; ${help}` };
    });
  });
}

function wrongValue(expected: string, found: unknown): string {
  const choices = expected.startsWith("one of ") ? expected.slice("one of ".length).split(", ") : [];
  const meant = typeof found === "string" ? didYouMean(found, choices) : undefined;
  return `expected ${expected}, found ${show(found)}${meant === undefined ? "" : `; did you mean ${meant}?`}`;
}

/** A value as the reader wrote it, cut where it is long. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = typeof value === "number" ? String(value) : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** The value at a path of a plain object, or undefined. */
export function valueAt(input: unknown, path: Path): unknown {
  let value = input;
  for (const part of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string | number, unknown>)[part];
  }
  return value;
}

/** The lines of all problems, each once, in the order of the file; what came from the command line comes last. */
export function problemLines(problems: readonly Problem[], origin: Origin): string[] {
  const placed = problems.map((problem) => {
    const override = origin.overrides.findLast(({ path }) =>
      path.every((part, i) => part === problem.path[i]),
    );
    const offset = override ? Number.POSITIVE_INFINITY : offsetOf(origin.document, problem.path);
    return { offset, line: `${override?.label ?? place(origin, offset)}: ${describe(problem)}` };
  });
  return [...new Set(placed.sort((a, b) => a.offset - b.offset).map(({ line }) => line))];
}

function describe({ path, message }: Problem): string {
  return path.length === 0 ? message : `${path.join(".")}: ${message}`;
}

function place(origin: Origin, offset: number): string {
  const { line, col } = origin.lines.linePos(offset);
  return `${origin.file}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
}

/** Where a setting stands in the file: its value, its key if it is a whole mapping, or what would contain it. */
function offsetOf(document: Document, path: Path): number {
  for (let length = path.length; length > 0; length--) {
    const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const key = path[length - 1];
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isScalar(item.key) && item.key.value === key);
      if (pair && isNode(pair.key) && pair.key.range) return pair.key.range[0];
    } else {
      const node = document.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) return node.range[0];
    }
  }
  return isNode(document.contents) ? (document.contents.range?.[0] ?? 0) : 0;
}

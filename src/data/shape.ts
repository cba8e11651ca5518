/** What the columns of a file mean: the usual shapes of rows, told by their columns, and named ones. */
import { DataError } from "../errors.js";
import { isConversation } from "./chat.js";
import { type DataRecord, oneLine, valueAt } from "./records/record.js";

export const FORMATS = [
  "input-output",
  "prompt-completion",
  "alpaca",
  "messages",
  "question-answer",
  "text-label",
] as const;

export type Format = (typeof FORMATS)[number];

/** What a column can be for. */
export const ROLES = ["input", "output", "instruction", "messages"] as const;

/** Columns by what they are for. */
export type Columns = { readonly [Role in (typeof ROLES)[number]]?: string | undefined };

/** The names of the columns that are named. */
const namesOf = (columns: Columns): string[] => Object.values(columns).filter((name) => name !== undefined);

export interface Shape {
  readonly format: Format;
  readonly columns: Columns;
  /** Columns of the data that are for nothing. */
  readonly unused: readonly string[];
}

interface Known {
  readonly format: Format;
  readonly columns: Columns;
  /** Roles that may be missing. */
  readonly optional?: readonly (keyof Columns)[];
}

/** Of two shapes that fit, one that needs all the other's columns and more is meant. */
const SHAPES: readonly Known[] = [
  { format: "messages", columns: { messages: "messages" } },
  { format: "messages", columns: { messages: "conversations" } },
  {
    format: "alpaca",
    columns: { instruction: "instruction", input: "input", output: "output" },
    optional: ["input"],
  },
  { format: "input-output", columns: { input: "input", output: "output" } },
  { format: "prompt-completion", columns: { input: "prompt", output: "completion" } },
  { format: "question-answer", columns: { input: "question", output: "answer" } },
  { format: "text-label", columns: { input: "text", output: "label" } },
  { format: "text-label", columns: { input: "sentence", output: "label" } },
];

export interface ShapeRequest {
  /** "auto": told by the columns. */
  readonly format: Format | "auto";
  /** Columns with other names than the usual. */
  readonly columns: Columns;
  /** The columns of a prompt template, which takes the place of the input column. */
  readonly template: readonly string[] | null;
  /** Whether the labels are known from elsewhere. */
  readonly labelled: boolean;
}

/** The shape of a file from its first rows. Throws a DataError that lists the columns if none fits, or several. */
export function findShape(sample: readonly DataRecord[], path: string, request: ShapeRequest): Shape {
  const present = [...new Set(sample.flatMap(({ fields }) => Object.keys(fields)))];
  const found = `columns found: ${oneLine(present.join(", ")) || "none"}`;
  const has = (column: string | undefined, rows = sample) =>
    column !== undefined && rows.some(({ fields }) => valueAt(fields, column) !== undefined);
  const named = namesOf(request.columns);
  const template = request.template ?? [];
  for (const column of [...named, ...template]) {
    if (!has(column)) throw new DataError(`${path}: there is no column "${column}"; ${found}`);
  }
  const candidates = candidatesOf(request);
  const fitting = candidates.filter(
    ({ columns, needed }) =>
      // By the first row: others of another shape are then errors with their line.
      needed.every((role) => has(columns[role], sample.slice(0, 1))) &&
      (columns.messages === undefined ||
        sample.some(({ fields }) => isConversation(valueAt(fields, columns.messages ?? "")))),
  );
  const best = fitting.filter((shape) => !fitting.some((other) => contains(other, shape)));
  const chosen = best[0];
  if (chosen === undefined) {
    const expected = request.format === "auto" ? "no known format" : `not ${request.format}`;
    throw new DataError(
      `${path}: the columns fit ${expected}; ${found}; expected ${candidates.map(describeShape).join(", ")}`,
      { hint: "name the columns: columns: {input: ..., output: ...}" },
    );
  }
  if (best.length > 1) {
    throw new DataError(`${path}: the columns fit ${best.map(describeShape).join(" and ")}; ${found}`, {
      hint: "name what is meant: format: ..., or columns: {input: ..., output: ...}",
    });
  }
  const columns = Object.fromEntries(Object.entries(chosen.columns).filter(([, column]) => has(column)));
  const used = [...namesOf(columns), ...template];
  const isUsed = (name: string) => used.some((column) => column === name || column.startsWith(`${name}.`));
  return { format: chosen.format, columns, unused: present.filter((name) => !isUsed(name)) };
}

interface Candidate {
  readonly format: Format;
  readonly columns: Columns;
  readonly needed: readonly (keyof Columns)[];
}

/** The shapes that a request leaves open. */
function candidatesOf({ format, columns, template, labelled }: ShapeRequest): Candidate[] {
  const named = namesOf(columns).length > 0;
  const asked = named && format === "auto" ? formatOf(columns, labelled) : format;
  const shapes = SHAPES.filter((shape) => asked === "auto" || shape.format === asked).map(
    (shape): Candidate => {
      const { optional = [] } = shape;
      const all = { ...shape.columns, ...columns };
      const needed = ROLES.filter((role) => all[role] !== undefined && !optional.includes(role));
      return { format: shape.format, columns: all, needed };
    },
  );
  if (template === null) return unique(shapes);
  // The template takes the place of all inputs: what counts is where the answers are.
  return unique(
    shapes
      .filter((shape) => shape.columns.output !== undefined)
      .map(({ format: kind, columns: { output } }) => ({
        format: kind,
        columns: { output },
        needed: ["output"],
      })),
  );
}

/** What named columns say of the format. */
function formatOf(columns: Columns, labelled: boolean): Format {
  if (columns.messages !== undefined) return "messages";
  if (columns.instruction !== undefined) return "alpaca";
  return labelled ? "text-label" : "input-output";
}

/** Of shapes that read the same columns, the first. */
function unique(shapes: readonly Candidate[]): Candidate[] {
  const key = ({ columns }: Candidate) => ROLES.map((role) => columns[role] ?? "").join("\n");
  return shapes.filter((shape, index) => shapes.findIndex((other) => key(other) === key(shape)) === index);
}

function contains(larger: Candidate, smaller: Candidate): boolean {
  const all = namesOf(larger.columns);
  const some = namesOf(smaller.columns);
  return all.length > some.length && some.every((column) => all.includes(column));
}

function describeShape({ format, columns, needed }: Candidate): string {
  const names = ROLES.flatMap((role) => {
    const column = columns[role];
    return column === undefined ? [] : [needed.includes(role) ? column : `${column}?`];
  });
  return `${format} (${names.join(", ")})`;
}

/** A preview of data as text: what was found, counts, lengths as bars, and rows as the model sees them. */
import type { Histogram, Preview, SeenText, TaskPreview } from "../experiment/preview.js";
import { lengthsTable, table } from "./tables.js";

const BAR = 40;

const HOW_CUT: Readonly<Record<Preview["truncate"], string>> = {
  end: "they lose their end and what the prompt has there (truncate: end)",
  body: "their longest part is shortened, the prompt around it stays (truncate: body)",
};

export function previewText(preview: Preview): string {
  const { model, family, tasks } = preview;
  const kind = family === "seq2seq" ? "source and target apart" : "source and target as one text";
  const head = `read by ${model}: ${kind}`;
  return [head, ...tasks.map((task) => taskText(task, preview.truncate))].join("\n\n");
}

function taskText(task: TaskPreview, truncate: Preview["truncate"]): string {
  const parts = [`task ${task.task}`, ...task.notes.map((note) => `  ${visible(note)}`)];
  const sum = (key: "rows" | "truncated" | "targetsTruncated") =>
    task.lengths.reduce((total, report) => total + report[key], 0);
  if (sum("truncated") > 0) {
    parts.push(
      `  ${sum("truncated")} of ${sum("rows")} sources are longer than the limit: ${HOW_CUT[truncate]}`,
    );
  }
  if (sum("targetsTruncated") > 0) {
    parts.push(
      `  ${sum("targetsTruncated")} of ${sum("rows")} targets are longer than the limit: they lose their end`,
    );
  }
  parts.push("", lengthsTable(task.lengths), "", histogramText(task.histogram, task.lengths[0]?.limit ?? 0));
  if (task.labels) {
    const rows = task.labels.map(({ label, train, test }) => [visible(label), String(train), String(test)]);
    parts.push("", table(["label", "train", "test"], rows));
  }
  for (const { row, source, target } of task.rows) {
    parts.push("", `row ${row}`, seenText("source", source), seenText("target", target));
  }
  return parts.join("\n");
}

/** One line for each bin; the limit is marked. */
function histogramText({ width, counts }: Histogram, limit: number): string {
  const most = Math.max(...counts);
  const ranges = counts.map((_, bin) =>
    width === 1 ? String(bin) : `${bin * width}–${(bin + 1) * width - 1}`,
  );
  const wide = Math.max(...ranges.map((range) => range.length));
  const digits = String(most).length;
  const lines = counts.map((count, bin) => {
    const bar = "█".repeat(count === 0 ? 0 : Math.max(1, Math.round((count / most) * BAR)));
    const holdsLimit = limit >= bin * width && limit < (bin + 1) * width;
    return `${ranges[bin]!.padStart(wide)}  ${String(count).padStart(digits)}  ${bar}${holdsLimit ? "  ← limit" : ""}`.trimEnd();
  });
  return ["tokens of training sources", ...lines].join("\n");
}

function seenText(name: string, { text, tokens, cut }: SeenText): string {
  const lines = visible(text).split("\n");
  const size = `${tokens} tokens${cut > 0 ? `, ${cut} more cut off` : ""}`;
  return [`  ${name}, ${size}`, ...lines.map((line) => `  │ ${line}`)].join("\n");
}

/** Control characters of the data shown, not obeyed. */
function visible(text: string): string {
  return text.replace(/[^\P{C}\n\t]/gu, (character) => {
    const code = character.codePointAt(0)!;
    // Joiners and the like belong to their neighbours.
    return /\p{Cc}|[\u202A-\u202E\u2066-\u2069]/u.test(character) ? `\\u{${code.toString(16)}}` : character;
  });
}

/**
 * Shows a run while it goes on: a live block on a terminal, plain lines elsewhere, NDJSON for programs. Progress goes to
 * stderr, so that stdout holds results only (or the events, with --json).
 */
import pc from "picocolors";
import { bytes, fixed } from "../format.js";
import type { RunEvent } from "../learn/events.js";
import { RunProgress } from "../runs/progress.js";
import { activityOf, alarmLine, figuresOf, taskEndLine } from "./progress.js";
import { lengthsTable } from "./tables.js";

export interface RunView {
  event(event: RunEvent, memory: number): void;
  /** A line about the run that is not an event. */
  say(line: string): void;
  /** Leaves the terminal as it was. */
  close(): void;
}

/** The part of a stream that views use. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface ViewOptions {
  readonly json?: boolean | undefined;
  readonly quiet?: boolean | undefined;
  readonly evaluates?: "all" | "seen" | undefined;
  readonly stdout?: Output;
  readonly stderr?: Output;
  /** Seconds on any steady clock. */
  readonly now?: () => number;
}

const PLAIN_SECONDS = 5;
const LIVE_SECONDS = 0.1;

/** The view that the options and the terminal ask for. */
export function createView(options: ViewOptions = {}): RunView {
  const stderr = options.stderr ?? process.stderr;
  const now = options.now ?? (() => performance.now() / 1000);
  if (options.json) return jsonView(options.stdout ?? process.stdout, stderr);
  if (options.quiet) return { event() {}, say: (line) => stderr.write(`${line}\n`), close() {} };
  const progress = new RunProgress(options.evaluates);
  const live = stderr.isTTY === true && process.env.TERM !== "dumb" && !process.env.CI;
  return new ProgressView(progress, live ? new LiveBlock(stderr) : new PlainLines(stderr), now);
}

function jsonView(stdout: Output, stderr: Output): RunView {
  return {
    event: (event) => stdout.write(`${JSON.stringify(event)}\n`),
    say: (line) => stderr.write(`${line}\n`),
    close() {},
  };
}

/** What differs between a terminal and a file: how the passing state is shown. */
interface Surface {
  readonly interval: number;
  print(line: string): void;
  show(progress: RunProgress): void;
  clear(): void;
}

class ProgressView implements RunView {
  readonly #progress: RunProgress;
  readonly #surface: Surface;
  readonly #now: () => number;
  #tasks: readonly string[] = [];
  #accuracies = new Map<string, number>();
  #shownAt = Number.NEGATIVE_INFINITY;

  constructor(progress: RunProgress, surface: Surface, now: () => number) {
    this.#progress = progress;
    this.#surface = surface;
    this.#now = now;
  }

  event(event: RunEvent, memory: number): void {
    const now = this.#now();
    this.#progress.update(event, memory, now);
    for (const line of this.#linesOf(event)) this.#surface.print(line);
    const ended = event.type === "download" && event.filesDone === event.files;
    if (ended || event.type === "run-end" || event.type === "run-failed") this.#surface.clear();
    else if (now - this.#shownAt >= this.#surface.interval) {
      this.#surface.show(this.#progress);
      this.#shownAt = now;
    }
  }

  say(line: string): void {
    this.#surface.print(line);
  }

  close(): void {
    this.#surface.clear();
  }

  /** The lines that stay for an event. */
  #linesOf(event: RunEvent): string[] {
    switch (event.type) {
      case "run-start": {
        this.#tasks = event.tasks;
        const from = event.resumedAt > 0 ? `, going on at task ${event.resumedAt + 1}` : "";
        return [
          `${pc.bold(event.method)} on ${event.model}, seed ${event.seed}${from}: ${event.tasks.join(", ")}`,
        ];
      }
      case "lengths": {
        const cut = event.report.reduce((sum, { truncated }) => sum + truncated, 0);
        const warning = cut > 0 ? [pc.yellow(`${cut} rows are longer than the limit and will be cut`)] : [];
        return [lengthsTable(event.report), ...warning];
      }
      case "note":
        return [event.level === "warning" ? pc.yellow(`warning: ${event.message}`) : event.message];
      case "download": {
        const { filesDone, files, repository, bytes: size } = event;
        if (filesDone < files) return [];
        return [`downloaded ${repository}: ${files} ${files === 1 ? "file" : "files"}, ${bytes(size)}`];
      }
      case "task-start":
        return this.#baseLine();
      case "evaluation":
        this.#accuracies.set(event.task, event.accuracy);
        return [];
      case "alarm":
        return [alarmLine(event)];
      case "task-end": {
        const line = taskEndLine(event, this.#tasks, this.#accuracies);
        this.#accuracies.clear();
        return [line];
      }
      default:
        return [];
    }
  }

  /** What was measured before the first task. */
  #baseLine(): string[] {
    if (this.#accuracies.size === 0) return [];
    const measured = [...this.#accuracies].map(([task, accuracy]) => `${task} ${fixed(accuracy, 1)}`);
    this.#accuracies.clear();
    return [`base model; accuracy: ${measured.join(", ")}`];
  }
}

/** Two lines at the bottom of a terminal that are drawn again and again. */
class LiveBlock implements Surface {
  readonly interval = LIVE_SECONDS;
  readonly #output: Output;
  #drawn: string[] = [];

  constructor(output: Output) {
    this.#output = output;
  }

  print(line: string): void {
    const block = this.#drawn;
    this.clear();
    this.#output.write(`${line}\n`);
    this.#draw(block);
  }

  show(progress: RunProgress): void {
    // A terminal without a size says 0.
    const width = Math.max(20, (this.#output.columns || 80) - 1);
    const filled = Math.round(Math.min(1, Math.max(0, progress.share)) * 20);
    const bar = `${"█".repeat(filled)}${"░".repeat(20 - filled)}`;
    this.clear();
    this.#draw([`${bar} ${activityOf(progress)}`.slice(0, width), figuresOf(progress).slice(0, width)]);
  }

  clear(): void {
    if (this.#drawn.length > 0) this.#output.write(`\u001b[${this.#drawn.length}A\u001b[0J`);
    this.#drawn = [];
  }

  #draw(lines: string[]): void {
    if (lines.length > 0) this.#output.write(`${lines.join("\n")}\n`);
    this.#drawn = lines;
  }
}

/** A line every few seconds, for logs. */
class PlainLines implements Surface {
  readonly interval = PLAIN_SECONDS;
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  print(line: string): void {
    this.#output.write(`${line}\n`);
  }

  show(progress: RunProgress): void {
    this.#output.write(
      `${[activityOf(progress), figuresOf(progress)].filter((part) => part !== "").join("  ")}\n`,
    );
  }

  clear(): void {}
}

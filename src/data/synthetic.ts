/**
 * Generated streams, in the benchmark's prompt format. Bundled: four text classification tasks of our own making (a
 * diary's topic, a scene's place, a letter's department, a picture's subject), five labels each. Long: any number of
 * tasks that sort the same subjects under names of their own. Drift: one task whose labels change their meaning. Most texts
 * also contain a noun that speaks for another label but is said to be beside the point, so that no single word gives the
 * answer away.
 */
import { DataError } from "../errors.js";
import { Rng } from "../random.js";
import { joinPrompt, promptExample, renderPrompt } from "./prompts.js";
import { ASIDES, GROUP_NAMES, SLOTS, SYNTHETIC_TASKS, type SyntheticTaskWords } from "./synthetic-words.js";
import type { Example, Task, TaskStream } from "./task.js";

export type SyntheticKind = "bundled" | "long" | "drift";

export interface SyntheticOptions {
  /** Default: bundled. */
  readonly kind?: SyntheticKind;
  readonly seed: number;
  /** Tasks of a long stream (default 100), or phases of one that drifts (default 8). */
  readonly tasks?: number;
  /** Of a stream that drifts: phases after which labels mean again what they meant at first; default: never. */
  readonly recurAfter?: number;
  /** Rows per task, spread evenly over the labels. */
  readonly trainRows: number;
  readonly testRows: number;
}

/** A function of its options alone. No text occurs twice, neither within a split nor across the two. */
export function syntheticStream(options: SyntheticOptions): TaskStream {
  for (const [name, rows] of Object.entries({ trainRows: options.trainRows, testRows: options.testRows })) {
    if (!Number.isInteger(rows) || rows < 1) {
      throw new DataError(`${name} must be a positive integer, found ${rows}`);
    }
  }
  const { kind = "bundled" } = options;
  const names = syntheticTaskNames(kind, options.tasks);
  const words = wordsOf[kind](names, new Rng(options.seed).fork(kind), options.recurAfter);
  return { name: kind, tasks: words.map((each, index) => makeTask(names[index]!, each, options)) };
}

/** The names of a stream's tasks, known without making it. */
export function syntheticTaskNames(kind: SyntheticKind, tasks?: number): string[] {
  if (kind === "bundled") return SYNTHETIC_TASKS.map(({ name }) => name);
  const count = tasks ?? (kind === "long" ? 100 : 8);
  const width = String(count).length;
  const noun = kind === "long" ? "task" : "phase";
  return Array.from({ length: count }, (_, index) => `${noun}-${String(index + 1).padStart(width, "0")}`);
}

/** What every subject of the bundled tasks is made of. */
const SUBJECTS = SYNTHETIC_TASKS.flatMap(({ cues }) => Object.values(cues));
/** Labels of a task of a long stream. */
const LONG_LABELS = 3;

type MakeWords = (names: readonly string[], rng: Rng, recurAfter?: number) => SyntheticTaskWords[];

const wordsOf: Readonly<Record<SyntheticKind, MakeWords>> = {
  bundled: () => [...SYNTHETIC_TASKS],
  // Only a task's name in the prompt tells which of its own names a subject goes under.
  long: (names, rng) =>
    names.map((name) => {
      const labels = rng.shuffle(GROUP_NAMES).slice(0, LONG_LABELS);
      const subjects = rng.shuffle(SUBJECTS);
      return grouping(name, Object.fromEntries(labels.map((label, i) => [label, subjects[i]!])), rng);
    }),
  // Every phase exchanges the meaning of two labels; the prompt is the same in all of them.
  drift(names, rng, recurAfter) {
    const labels = GROUP_NAMES.slice(0, 5);
    const subjects = rng.shuffle(SUBJECTS).slice(0, labels.length);
    const templates = rng.pick(SYNTHETIC_TASKS).templates;
    const meanings: SyntheticTaskWords["cues"][] = [];
    return names.map((_, phase) => {
      if (recurAfter !== undefined && phase >= recurAfter) {
        return { ...grouping("drift", meanings[phase % recurAfter]!, rng), templates };
      }
      if (phase > 0) {
        const [one, other] = rng.shuffle([...subjects.keys()]) as [number, number];
        [subjects[one], subjects[other]] = [subjects[other]!, subjects[one]!];
      }
      const cues = Object.fromEntries(labels.map((label, i) => [label, subjects[i]!]));
      meanings.push(cues);
      return { ...grouping("drift", cues, rng), templates };
    });
  },
};

const grouping = (name: string, cues: SyntheticTaskWords["cues"], rng: Rng): SyntheticTaskWords => ({
  name,
  family: "Group",
  instruction: "Which group does the text belong to? Choose one from the option.",
  cues,
  templates: rng.pick(SYNTHETIC_TASKS).templates,
});

function makeTask(name: string, words: SyntheticTaskWords, options: SyntheticOptions): Task {
  const rng = new Rng(options.seed).fork(`synthetic/${name}`);
  const labels = Object.keys(words.cues);
  const taken = new Set<string>();
  const split = (part: "train" | "test", rows: number): Example[] => {
    const random = rng.fork(part);
    const wanted = Array.from({ length: rows }, (_, row) => labels[row % labels.length]!);
    return random.shuffle(wanted).map((label) => {
      let parts = renderPrompt(words, labels, sentence(words, label, random));
      while (taken.has(joinPrompt(parts))) {
        parts = renderPrompt(words, labels, sentence(words, label, random));
      }
      taken.add(joinPrompt(parts));
      return promptExample(parts, label);
    });
  };
  // Test first: its rows do not depend on how many are trained on.
  const test = split("test", options.testRows);
  return { name, labels, train: split("train", options.trainRows), test };
}

/** One text for a label: a template filled in, sometimes with an aside, sometimes carelessly typed. */
function sentence(words: SyntheticTaskWords, label: string, rng: Rng): string {
  const [cue, cue2, cue3] = rng.shuffle(words.cues[label]!);
  const otherLabel = rng.pick(Object.keys(words.cues).filter((name) => name !== label));
  const own = { cue: cue!, cue2: cue2!, cue3: cue3!, other: rng.pick(words.cues[otherLabel]!) };
  const sentences = [fill(rng.pick(words.templates), own, rng)];
  if (rng.uniform() < 0.15) sentences.unshift(fill(rng.pick(ASIDES), own, rng));
  if (rng.uniform() < 0.15) sentences.push(fill(rng.pick(ASIDES), own, rng));
  const text = capitalize(sentences.join(" "));
  const care = rng.uniform();
  if (care < 0.06) return text.toLowerCase();
  return care < 0.12 ? text.replace(/[.,;]/g, "") : text;
}

function fill(template: string, own: Readonly<Record<string, string>>, rng: Rng): string {
  return template.replace(/\{(\w+)\}/g, (_, slot: string) => own[slot] ?? rng.pick(SLOTS[slot]!));
}

/** A capital at the start of every sentence. */
function capitalize(text: string): string {
  return text.replace(/(^|[.!?] )[a-z]/g, (start) => start.toUpperCase());
}

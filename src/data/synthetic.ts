/**
 * The bundled stream: four text classification tasks of our own making (a diary's topic, a scene's place, a letter's
 * department, a picture's subject), five labels each, in the benchmark's prompt format. Most texts also contain a noun
 * that speaks for another label but is said to be beside the point, so that no single word gives the answer away.
 */
import { DataError } from "../errors.js";
import { Rng } from "../random.js";
import { joinPrompt, promptExample, renderPrompt } from "./prompts.js";
import { ASIDES, SLOTS, SYNTHETIC_TASKS, type SyntheticTaskWords } from "./synthetic-words.js";
import type { Example, Task, TaskStream } from "./task.js";

export interface SyntheticOptions {
  readonly seed: number;
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
  return { name: "bundled", tasks: SYNTHETIC_TASKS.map((words) => makeTask(words, options)) };
}

function makeTask(words: SyntheticTaskWords, options: SyntheticOptions): Task {
  const rng = new Rng(options.seed).fork(`synthetic/${words.name}`);
  const labels = Object.keys(words.cues);
  const taken = new Set<string>();
  const split = (name: "train" | "test", rows: number): Example[] => {
    const random = rng.fork(name);
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
  return { name: words.name, labels, train: split("train", options.trainRows), test };
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

/**
 * `npm run bench -- --part inspect`: analysis of 15 adapters of LLaMA-7B's shape: time and peak memory of `nlora inspect` with and
 * without what looks at every element, and how the passes over tiles compare with the machine's memory bandwidth. Every
 * measurement runs in a process of its own; 250 MB of disk for a while.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { measureApart, median } from "./apart.js";
import { type InspectAnswer, type PassAnswer, SHAPE } from "./inspect-shape.js";

const SUBJECT = "inspect-subject.js";

function whole(threads: number, folders: readonly string[], rounds: number): void {
  console.log("  nlora inspect --json                        seconds  processor s  peak MiB");
  for (const [what, name] of [
    ["algebra", "--no-elements (all but the tiled quantities)"],
    ["all", "everything: abs, relRms, exact"],
  ] as const) {
    const answers = Array.from({ length: rounds }, () =>
      measureApart<InspectAnswer>(SUBJECT, threads, [what, String(threads), ...folders]),
    );
    const of = (value: (answer: InspectAnswer) => number) => median(answers.map(value));
    console.log(
      `  ${name.padEnd(44)} ${of(({ seconds }) => seconds)
        .toFixed(1)
        .padStart(6)}  ${of(({ processorSeconds }) => processorSeconds)
        .toFixed(1)
        .padStart(11)}  ` +
        `${(Math.max(...answers.map(({ peakBytes }) => peakBytes)) / 2 ** 20).toFixed(0).padStart(8)}`,
    );
  }
}

/**
 * The work of a pass, as bytes: every element of every dW, 4 bytes each, as if all dW lay in memory and were read once. In truth
 * tiles are formed in the cache from factors of 1/256 of that size, so a pass computes where it would otherwise read.
 */
function tiled(threads: number, folders: readonly string[], rounds: number): void {
  const answers = Array.from({ length: rounds }, () =>
    measureApart<PassAnswer>(SUBJECT, threads, ["passes", String(threads), ...folders]),
  );
  const middle = (value: (answer: PassAnswer) => number) => median(answers.map(value));
  const gigabytes = (value: (answer: PassAnswer) => number) => (middle(value) / 1e9).toFixed(1);
  console.log(
    `\n  memory bandwidth of ${threads} threads: reading ${gigabytes(({ bytes, read }) => bytes / read[0])} GB/s, copying (both ways) ` +
      `${gigabytes(({ bytes, copy }) => (2 * bytes) / copy[0])} GB/s; a second of one core reads ${gigabytes(({ bytes, read }) => bytes / read[1])} GB; ` +
      `one module, medians of ${rounds} rounds\n`,
  );
  console.log("                                            by the clock:              by a core's time:");
  console.log(
    "  pass                                      as GB/s of dW  of reading  as GB/s  of reading  GFLOP/s",
  );
  for (const name of Object.keys(answers[0]!.passes)) {
    const row = ([0, 1] as const).map((clock) => ({
      rate: middle(({ elements, passes }) => (4 * elements) / passes[name]![clock]),
      share: middle(
        ({ elements, passes, bytes, read }) => (4 * elements) / passes[name]![clock] / (bytes / read[clock]),
      ),
    }));
    const [wall, core] = row as [(typeof row)[0], (typeof row)[0]];
    console.log(
      `  ${name.padEnd(40)}  ${(wall.rate / 1e9).toFixed(1).padStart(13)}  ${wall.share.toFixed(2).padStart(10)}  ` +
        `${(core.rate / 1e9).toFixed(1).padStart(7)}  ${core.share.toFixed(2).padStart(10)}  ` +
        `${((SHAPE.rank * core.rate) / 2e9).toFixed(0).padStart(7)}`,
    );
  }
}

export function measureInspection(threads: number, rounds: number): void {
  const root = mkdtempSync(join(tmpdir(), "nlora-inspect-"));
  const folders = Array.from({ length: SHAPE.adapters }, (_, k) => join(root, `${k + 1}-task`));
  try {
    measureApart(SUBJECT, threads, ["write", String(threads), ...folders]);
    const { adapters, layers, width, rank } = SHAPE;
    console.log(
      `${adapters} adapters of rank ${rank} on ${2 * layers} modules of ${width} x ${width} (LLaMA-7B's q_proj and v_proj), ${threads} threads\n`,
    );
    whole(threads, folders, rounds);
    tiled(threads, folders, 3 * rounds);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

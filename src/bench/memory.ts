/**
 * `npm run bench -- --part memory`: what opening a checkpoint costs, and how much memory training a 7B-shaped model takes.
 * Makes checkpoints with made-up weights (5 GB of disk for a while); every measurement runs in a process of its own.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { measureApart } from "./apart.js";
import type { OpenAnswer, ReadAnswer, Resident, TrainAnswer } from "./memory-subject.js";

const TOKENS = 512;
const SEVEN_B = {
  model_type: "llama",
  vocab_size: 32000,
  hidden_size: 4096,
  num_attention_heads: 32,
  intermediate_size: 11008,
  eos_token_id: 2,
};
const GIGABYTE = {
  "LLaMA, 8 layers of 2048": {
    ...{ model_type: "llama", vocab_size: 32000, hidden_size: 2048, num_hidden_layers: 8 },
    ...{ num_attention_heads: 32, num_key_value_heads: 4, intermediate_size: 5632, eos_token_id: 2 },
  },
  "T5, 16 + 16 layers of 1024": {
    ...{ model_type: "t5", vocab_size: 32128, d_model: 1024, d_ff: 4096, num_layers: 16 },
    ...{ num_heads: 16, d_kv: 64, eos_token_id: 1 },
  },
};

const measure = <Answer>(threads: number, args: readonly string[]): Answer =>
  measureApart("memory-subject.js", threads, args);

/** Asks the system to forget the file's pages (posix_fadvise, by way of dd). */
function forget(file: string): boolean {
  const { status } = spawnSync("dd", [`if=${file}`, "iflag=nocache", "count=0"], { stdio: "ignore" });
  return status === 0;
}

const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
const gib = (bytes: number): string => (bytes / 2 ** 30).toFixed(2);
const grown = (after: Resident, before: Resident, kind: "anonymous" | "file"): string =>
  mib(after[kind] - before[kind]);

function opening(root: string, threads: number, rounds: number): void {
  console.log(
    "From nothing to the first token behind a prompt of 16, against reading the file through one buffer:\n",
  );
  for (const [name, config] of Object.entries(GIGABYTE)) {
    const folder = join(root, "gigabyte");
    measure(threads, ["write", folder, JSON.stringify(config), "bfloat16"]);
    const file = join(folder, "model.safetensors");
    console.log(`${name}, bfloat16, ${mib(statSync(file).size)} MiB`);
    console.log("  pages   read s  model s  first token s  grown by: own MiB  file MiB  peak MiB");
    for (const state of Array.from({ length: rounds }, () => ["cold", "warm"]).flat()) {
      if (state === "cold" && !forget(file)) continue;
      const read = measure<ReadAnswer>(threads, ["read", folder]);
      if (state === "cold") forget(file);
      const open = measure<OpenAnswer>(threads, ["open", folder, "bfloat16"]);
      console.log(
        `  ${state}   ${read.seconds.toFixed(2).padStart(6)}  ${open.openSeconds.toFixed(2).padStart(7)}  ` +
          `${open.tokenSeconds.toFixed(2).padStart(13)}  ${grown(open.after, open.before, "anonymous").padStart(17)}  ` +
          `${grown(open.after, open.before, "file").padStart(8)}  ${mib(open.after.peak).padStart(8)}`,
      );
    }
    rmSync(folder, { recursive: true });
    console.log("");
  }
}

function training(root: string, threads: number): void {
  console.log(
    `A 7B-shaped model (4096 / 11008 / 32 heads / vocabulary 32,000) in bfloat16, LoRA r = 8 on q_proj and v_proj, N-LoRA's ` +
      `penalty, AdamW, batch 1 x ${TOKENS}:\n`,
  );
  console.log("  layers  checkpointing  weights GiB  peak GiB  step s");
  const peaks = { checkpointing: [] as number[], plain: [] as number[] };
  for (const layers of [2, 3]) {
    const folder = join(root, `layers-${layers}`);
    const config = { ...SEVEN_B, num_hidden_layers: layers };
    measure(threads, ["write", folder, JSON.stringify(config), "bfloat16"]);
    const weights = statSync(join(folder, "model.safetensors")).size;
    for (const kind of ["checkpointing", "plain"] as const) {
      const { after, stepSeconds } = measure<TrainAnswer>(threads, ["train", folder, String(TOKENS), kind]);
      peaks[kind].push(after.peak);
      console.log(
        `  ${String(layers).padStart(6)}  ${(kind === "plain" ? "no" : "yes").padStart(13)}  ${gib(weights).padStart(11)}  ` +
          `${gib(after.peak).padStart(8)}  ${Math.min(...stepSeconds)
            .toFixed(1)
            .padStart(6)}`,
      );
    }
    rmSync(folder, { recursive: true });
  }
  for (const [kind, [two, three]] of Object.entries(peaks)) {
    const layer = three! - two!;
    console.log(
      `\n  ${kind}: ${gib(layer)} GiB a layer, so 32 layers take ${gib(two!)} + 30 x ${gib(layer)} = ` +
        `${gib(two! + 30 * layer)} GiB`,
    );
  }
}

export function measureMemory(threads: number, rounds: number): void {
  const root = mkdtempSync(join(tmpdir(), "nlora-memory-"));
  try {
    opening(root, threads, rounds);
    training(root, threads);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

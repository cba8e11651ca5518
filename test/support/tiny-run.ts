/** A finished run of a tiny decoder-only model that can hold conversations: random adapters, three tasks. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AdapterDelta } from "../../src/adapters/delta.js";
import { resolveConfig } from "../../src/experiment/config.js";
import { writePeft } from "../../src/io/peft.js";
import { Rng } from "../../src/random.js";
import { Journal } from "../../src/runs/journal.js";
import { RunFolder } from "../../src/runs/run-folder.js";
import { tensor } from "../../src/tensor/create.js";
import { tidy } from "../../src/tensor/scope.js";
import { writeTinyLlama } from "./tiny-llama.js";

const TEMPLATE =
  "{{ bos_token }}{% for m in messages %}" +
  "{% if m.role not in ['system', 'user', 'assistant'] %}{{ raise_exception('unknown role ' + m.role) }}{% endif %}" +
  "{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}";

/** Writes a checkpoint of the LLaMA family with a tokenizer and, unless `chat` is false, a chat template. */
export function writeTinyChat(folder: string, chat = true): void {
  writeTinyLlama(folder, { max_position_embeddings: 256 });
  writeFileSync(
    join(folder, "tokenizer_config.json"),
    JSON.stringify({ bos_token: "<s>", eos_token: "</s>", ...(chat && { chat_template: TEMPLATE }) }),
  );
}

const MODULES = [0, 1].flatMap((layer) =>
  ["q_proj", "v_proj"].map((name) => `model.layers.${layer}.self_attn.${name}`),
);

/** A random adapter of the model's q and v; of different ranks for different seeds. */
export function randomAdapter(name: string, seed: number): AdapterDelta {
  const rng = new Rng(seed);
  const rank = 1 + (seed % 3);
  const random = (rows: number, columns: number) =>
    tensor(
      Float32Array.from({ length: rows * columns }, () => rng.uniform() - 0.5),
      [rows, columns],
    );
  return {
    name,
    scale: 2,
    modules: new Map(
      MODULES.map((module) => [
        module,
        { a: random(rank, 32), b: random(module.endsWith("v_proj") ? 16 : 32, rank) },
      ]),
    ),
  };
}

export const TINY_TASKS = ["first", "second", "third"];

/** Writes the run; `holds` says what the adapter of a task is. */
export function writeTinyRun(folder: string, model: string, holds: "delta" | "cumulative" = "delta"): void {
  const method = holds === "delta" ? "n-lora" : "seq-lora";
  const run = RunFolder.create(folder, resolveConfig({ model, data: { kind: "synthetic" }, method }));
  using journal = new Journal(run.journalFile);
  const time = "2026-01-31T17:45:02.000Z";
  journal.append({
    type: "run-start",
    time,
    method,
    model: "tiny",
    tasks: TINY_TASKS,
    seed: 42,
    resumedAt: 0,
  });
  for (const [index, task] of TINY_TASKS.entries()) {
    journal.append({ type: "task-start", task, index, steps: 1, trainable: 1, rows: 1 });
    run.saveTask("adapters", { index, name: task }, (target) =>
      tidy(() =>
        writePeft(target, randomAdapter(task, 10 + index), {
          dropout: 0,
          targetModules: ["q_proj", "v_proj"],
          taskType: "CAUSAL_LM",
          base: { name: "tiny", revision: null },
          provenance: {
            holds,
            tasks: holds === "delta" ? [task] : TINY_TASKS.slice(0, index + 1),
            position: index + 1,
            run: "tiny",
            method,
            base: { name: "tiny", revision: null },
            includes: [],
            needs:
              holds === "delta" ? TINY_TASKS.slice(0, index).map((other, k) => `../${k + 1}-${other}`) : [],
          },
        }),
      ),
    );
    journal.append({ type: "task-end", task, index, seconds: 1, deltaNorm: 1 });
  }
  journal.append({ type: "run-end", time, status: "done" });
  run.updateRecord();
}

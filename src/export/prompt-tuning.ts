/**
 * The soft prompt of a run in PEFT's layout of prompt tuning: adapter_config.json, and adapter_model.safetensors with
 * `prompt_embeddings` [positions, width].
 */
import { join } from "node:path";
import { RunError, UsageError } from "../errors.js";
import { baseOf, methodOfRun, runName } from "../experiment/saved-task.js";
import { writeFileAtomic } from "../io/files.js";
import { readJsonObject } from "../io/json.js";
import { PEFT_FILES } from "../io/peft.js";
import { publicModelName } from "../io/peft-config.js";
import { modelCard, type Provenance, provenanceMetadata } from "../io/provenance.js";
import { assertFinite, writeSafetensors } from "../io/safetensors.js";
import { METHOD_FACTS, trainsPrompts } from "../methods/registry.js";
import { loadModel } from "../models/registry.js";
import { RunFolder } from "../runs/run-folder.js";
import { checkPromptIsKept, finishedTasks, isRunFolder, taskIndex } from "../runs/run-state.js";
import { noGrad } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import type { ExportOptions } from "./export.js";

export interface PromptSource {
  /** [positions, width] in float32; the caller disposes of it. */
  readonly prompt: Tensor;
  readonly taskType: "SEQ_2_SEQ_LM" | "CAUSAL_LM";
  /** The base model's config.json. */
  readonly model: Readonly<Record<string, unknown>>;
  readonly provenance: Provenance;
  readonly title: string;
  /** What it is, in a sentence. */
  readonly about: string;
}

/**
 * The prompt of the run that the paths name after a task; null: they name no run whose method trains prompts. Throws a
 * UsageError for what cannot be done with a prompt, a RunError where rows have prompts of their own or none is kept.
 */
export function readPrompt(
  paths: readonly string[],
  { format, base, task = null, delta = false, keep = null }: ExportOptions,
): PromptSource | null {
  const run = paths.find(isRunFolder);
  if (run === undefined) return null;
  const folder = new RunFolder(run);
  const config = folder.readConfig();
  if (!trainsPrompts(config.method)) return null;
  if (paths.length > 1) throw new UsageError(`expected one run folder, found ${paths.length} folders`);
  if (format !== "peft" || delta || keep !== null) {
    const asked = format !== "peft" ? `--format ${format}` : delta ? "--delta" : "--rank or --rank-error";
    throw new UsageError(`${asked} is for adapters; the method ${config.method.name} trains a soft prompt`, {
      hint: "Export it with --format peft, for PEFT's prompt tuning.",
    });
  }
  const finished = finishedTasks(folder);
  if (finished.length === 0) throw new RunError(`${run}: no task of this run is finished`);
  const index = task === null ? finished.length - 1 : taskIndex(task, finished, folder.readRecord()!.tasks);
  checkPromptIsKept(folder, config.method, finished, index);
  if (base === null)
    throw new UsageError("a prompt is read with its base model", { hint: "Name it with --base." });
  const { title, needsTaskIdentity } = METHOD_FACTS[config.method.name];
  const name = finished[index]!;
  const tasks = finished.slice(0, index + 1);
  const model = loadModel(base, "float32");
  try {
    const method = methodOfRun(run, finished, model);
    try {
      method.activate({ name, index });
      const prompt = tidy(() =>
        noGrad(() => method.prompt()?.detach().toDtype("float32").clone().keep() ?? null),
      );
      if (prompt === null) {
        throw new RunError(
          `${run}: ${title} chooses its prompts row by row; there is no single one to export`,
          {
            hint: "nlora generate and nlora serve take the run as it is.",
          },
        );
      }
      const names = tasks.map((each) => `\`${each}\``).join(", ");
      return {
        prompt,
        taskType: model.family === "seq2seq" ? "SEQ_2_SEQ_LM" : "CAUSAL_LM",
        model: readJsonObject(join(base, "config.json")),
        provenance: {
          holds: "cumulative",
          tasks,
          position: index + 1,
          run: runName(config),
          method: config.method.name,
          base: baseOf(config, base),
          includes: [],
          needs: [],
        },
        title: `${runName(config)} after ${index + 1}-${name}`,
        about: `**A soft prompt** for PEFT's prompt tuning: ${prompt.dim(0)} embeddings that stand before the tokens of every row${model.family === "seq2seq" ? " that the encoder reads" : ""}, learned on ${names}${needsTaskIdentity ? `; it answers \`${name}\`` : ""}. The base model's weights are as they were.`,
      };
    } finally {
      method.dispose();
    }
  } finally {
    model.dispose();
  }
}

/** Fills a folder that PEFT reads; returns the number of positions. Throws a CheckpointError for NaN and infinity. */
export function writePrompt(
  folder: string,
  { prompt, taskType, model, provenance, title, about }: PromptSource,
): number {
  const key = "prompt_embeddings";
  const [positions, width] = prompt.shape as [number, number];
  assertFinite(prompt, key, folder);
  const metadata = { format: "pt", ...provenanceMetadata(provenance) };
  writeSafetensors(join(folder, PEFT_FILES.weights), [[key, prompt]], metadata);
  const config = {
    auto_mapping: null,
    base_model_name_or_path: publicModelName(provenance.base.name),
    inference_mode: true,
    num_attention_heads: model.num_heads ?? model.num_attention_heads ?? null,
    num_layers: model.num_layers ?? model.num_hidden_layers ?? null,
    // The decoder of an encoder-decoder has no prompt of its own.
    num_transformer_submodules: 1,
    num_virtual_tokens: positions,
    peft_type: "PROMPT_TUNING",
    prompt_tuning_init: "RANDOM",
    prompt_tuning_init_text: null,
    revision: provenance.base.revision,
    task_type: taskType,
    token_dim: width,
    tokenizer_name_or_path: null,
  };
  writeFileAtomic(join(folder, PEFT_FILES.config), [`${JSON.stringify(config, null, 2)}\n`]);
  const facts = [["prompt", `${positions} positions of width ${width}`] as const];
  writeFileAtomic(join(folder, "README.md"), [
    modelCard(provenance, { title, facts, library: "peft", prompt: about }),
  ]);
  return positions;
}

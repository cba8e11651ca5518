/** Exports: a run's state or adapter folders as a PEFT adapter, a GGUF adapter, or merged into their base model. */
import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { stackAdapters } from "../adapters/combine.js";
import { type Consolidated, consolidate, type Keep } from "../adapters/consolidate.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { disposeDelta, keepDelta } from "../adapters/lora.js";
import { CheckpointError, UsageError } from "../errors.js";
import { findModel } from "../experiment/prepare.js";
import { fillingFolder, writeFileAtomic } from "../io/files.js";
import { readJsonObject } from "../io/json.js";
import { writePeft } from "../io/peft.js";
import { baseModel, modelCard, type Provenance, provenanceMetadata } from "../io/provenance.js";
import { RunFolder } from "../runs/run-folder.js";
import { isRunFolder } from "../runs/run-state.js";
import { tidy } from "../tensor/scope.js";
import { writeGgufLora } from "./gguf-lora.js";
import { type FloatType, type MergeProgress, type MergeResult, merging } from "./merge.js";
import { isFaithful, type ProbePrompt, type ProbeResult, probing } from "./probe.js";
import { type PromptSource, readPrompt, writePrompt } from "./prompt-tuning.js";
import { readSource, type Source } from "./sources.js";

export const FORMATS = ["peft", "hf", "gguf-lora"] as const;
export type { Keep };
export type ExportFormat = (typeof FORMATS)[number];

export interface ExportOptions {
  readonly format: ExportFormat;
  readonly out: string;
  /** Folder of the base model; peft needs none, gguf-lora its config.json alone. */
  readonly base: string | null;
  /** Of a run: name or number of a task; null: the last one finished. */
  readonly task?: string | null;
  /** Of a run: the last task's update alone. */
  readonly delta?: boolean;
  /** Bring the sum of the adapters down to a rank, or within an error; null: exactly as it is. */
  readonly keep?: Keep | null;
  /** hf: element type of the weights, null: the base's. gguf-lora: null is float32. */
  readonly dtype?: FloatType | null;
  /** The rest is for hf and for smaller ranks. Prompts to compare on; null: no comparison. */
  readonly prompts?: readonly ProbePrompt[] | null;
  readonly probeDtype?: "float32" | "bfloat16";
  /** Largest difference of a logit after merging or at a smaller rank, as a share of the adapters' own effect. */
  readonly tolerance?: number;
  /** Keep what is beyond the tolerance. */
  readonly force?: boolean;
  readonly maxShardBytes?: number;
}

export type ExportStep = MergeProgress | { readonly type: "probing" };

export interface ExportReport {
  readonly out: string;
  readonly format: ExportFormat;
  readonly provenance: Provenance;
  /** The largest rank of a module; null: it is a prompt. */
  readonly rank: number | null;
  readonly modules: number | null;
  /** Embeddings that stand before the tokens of a row; null: it is an adapter or a model. */
  readonly positions: number | null;
  readonly merged: MergeResult | null;
  readonly probe: ProbeResult | null;
  /** Of a sum that was brought down to a smaller rank: ||dW - dW'||_F, and ||dW||_F of the sum. */
  readonly consolidated: Pick<Consolidated, "error" | "norm"> | null;
  readonly notes: readonly string[];
}

export const TOLERANCE = 0.1;
export const MAX_SHARD_BYTES = 5e9;

/** The base model's folder: the one named (a path, builtin or a hub name), or the run's own; null: neither. */
export async function findBase(paths: readonly string[], named: string | null): Promise<string | null> {
  const run = paths.find(isRunFolder);
  if (named === null && run === undefined) return null;
  if (named !== null) return findModel({ model: existsSync(named) ? resolve(named) : named });
  const folder = new RunFolder(run!);
  return findModel(folder.readConfig(), {}, folder.readRecord()?.modelRevision ?? null);
}

/**
 * Exports what the paths name (one run folder, or adapter folders) in steps, so that the caller can show progress and
 * end it by `return()`; then, as after every failure, nothing is left under the name of `out`.
 */
export function* exporting(
  paths: readonly string[],
  options: ExportOptions,
): Generator<ExportStep, ExportReport> {
  const prompted = readPrompt(paths, options);
  if (prompted) return yield* exportingPrompt(prompted, options);
  if (options.format === "hf" && options.delta) {
    throw new UsageError(
      "--delta: a model is merged from all tasks up to one; export a delta as peft or gguf-lora",
    );
  }
  const source = tidy(() => {
    const read = readSource(paths, options);
    for (const delta of read.deltas) keepDelta(delta);
    return read;
  });
  let small: Consolidated | null = null;
  try {
    small = options.keep ? smaller(source, options.keep) : null;
    const consolidated = small && { error: small.error, norm: small.norm };
    const written = small ? { ...source, deltas: [small.delta] } : source;
    const { rank, modules } = tidy(() => sizeOf(stackAdapters(written.deltas, source.title)));
    const outcome = yield* fillingFolder(options.out, (folder) =>
      fill(folder, written, source.deltas, rank, options),
    );
    return {
      consolidated,
      out: resolve(options.out),
      format: options.format,
      provenance: source.provenance,
      rank,
      modules,
      positions: null,
      ...outcome,
    };
  } finally {
    for (const delta of [...source.deltas, ...(small ? [small.delta] : [])]) disposeDelta(delta);
  }
}

function* exportingPrompt(source: PromptSource, { out }: ExportOptions): Generator<ExportStep, ExportReport> {
  try {
    const positions = yield* fillingFolder(out, function* (folder): Generator<ExportStep, number> {
      const count = writePrompt(folder, source);
      const bytes = 4 * source.prompt.size;
      yield { type: "written", done: bytes, total: bytes };
      return count;
    });
    const { provenance } = source;
    const nothing = { rank: null, modules: null, merged: null, probe: null, consolidated: null, notes: [] };
    return { out: resolve(out), format: "peft", provenance, positions, ...nothing };
  } finally {
    source.prompt.dispose();
  }
}

/** The sum of a source's adapters at a smaller rank; owned by the caller. */
function smaller({ deltas, title }: Source, keep: Keep): Consolidated {
  return tidy(() => {
    const made = consolidate(stackAdapters(deltas, title), keep);
    keepDelta(made.delta);
    return made;
  });
}

type Outcome = Pick<ExportReport, "merged" | "probe" | "notes">;

/** `deltas` are what the source's adapters were before their rank was lowered: what the result is compared with. */
function* fill(
  folder: string,
  source: Source,
  deltas: readonly AdapterDelta[],
  rank: number,
  options: ExportOptions,
): Generator<ExportStep, Outcome> {
  const notes = [
    ...source.notes,
    ...(options.delta ? [] : missing(source.provenance)),
    ...otherBase(source, options.base),
  ];
  switch (options.format) {
    case "peft": {
      const consumers = vllmNote(rank, source.taskType);
      writeAdapter(folder, source, consumers);
      return { merged: null, ...(yield* checkRank(source, deltas, [...notes, ...consumers], options)) };
    }
    case "gguf-lora":
      writeGguf(folder, source, options);
      return { merged: null, ...(yield* checkRank(source, deltas, notes, options)) };
    case "hf":
      return yield* writeMerged(folder, source, deltas, notes, options);
  }
}

/** Compares an adapter of a smaller rank with the adapters it stands for. */
function* checkRank(
  source: Source,
  deltas: readonly AdapterDelta[],
  notes: readonly string[],
  { keep, base, prompts, probeDtype = "float32", tolerance = TOLERANCE, force = false }: ExportOptions,
): Generator<ExportStep, Pick<Outcome, "probe" | "notes">> {
  if (!keep || !prompts) return { probe: null, notes };
  if (base === null) {
    return {
      probe: null,
      notes: [...notes, "the logits were not compared: name the base model with --base"],
    };
  }
  const probe = yield* probing(base, deltas, source.deltas, prompts, probeDtype);
  if (!isFaithful(probe, tolerance) && !force) {
    throw new CheckpointError(`the smaller rank loses too much: ${lossOf(probe, tolerance)}`, {
      hint: "Allow a larger rank (--rank) or a smaller error (--rank-error), or pass --force.",
    });
  }
  return { probe, notes };
}

const lossOf = ({ difference, effect, accuracy }: ProbeResult, tolerance: number): string => {
  const answers =
    accuracy &&
    `, ${digits(accuracy.merged)} % of ${accuracy.rows} answers are right instead of ${digits(accuracy.separate)} %`;
  return `logits differ by up to ${digits(difference)}, the adapters change them by up to ${digits(effect)} (tolerance ${tolerance})${answers ?? ""}`;
};

function sizeOf({ modules }: AdapterDelta): { rank: number; modules: number } {
  return { rank: Math.max(...[...modules.values()].map(({ a }) => a.dim(0))), modules: modules.size };
}

function writeAdapter(folder: string, source: Source, notes: readonly string[]): void {
  const { targetModules, dropout, taskType, provenance, title } = source;
  tidy(() => {
    const stacked = stackAdapters(source.deltas, title);
    writePeft(folder, stacked, {
      targetModules,
      dropout,
      taskType,
      base: provenance.base,
      provenance,
      title,
      notes,
    });
  });
}

function writeGguf(folder: string, source: Source, { base, dtype }: ExportOptions): void {
  const configFile = join(
    required(base, "gguf-lora", "its config.json decides names and order"),
    "config.json",
  );
  if (dtype === "bfloat16") {
    throw new UsageError("--dtype: a GGUF adapter is written in float32 or float16, found bfloat16");
  }
  const { provenance, title } = source;
  tidy(() => {
    const stacked = stackAdapters(source.deltas, title);
    const config = readJsonObject(configFile);
    writeGgufLora(join(folder, "adapter.gguf"), stacked, {
      config,
      configFile,
      dtype: dtype ?? "float32",
      provenance,
    });
    const facts = [
      ["file", "`adapter.gguf`, for `llama-cli --lora` or `--lora-scaled`"] as const,
      rankFact(stacked),
    ];
    writeFileAtomic(join(folder, "README.md"), [modelCard(provenance, { title, facts, library: "gguf" })]);
  });
}

const rankFact = (delta: AdapterDelta): readonly [string, string] => {
  const { rank } = sizeOf(delta);
  return ["rank", `${rank}, scale ${Number(delta.scale.toPrecision(6))}`];
};

function* writeMerged(
  folder: string,
  source: Source,
  deltas: readonly AdapterDelta[],
  notes: readonly string[],
  options: ExportOptions,
): Generator<ExportStep, Outcome> {
  const base = required(options.base, "hf", "the adapters are added to its weights");
  const { tolerance = TOLERANCE, force = false, prompts = null } = options;
  const { provenance, title } = source;
  const merged = yield* merging(base, source.deltas, folder, {
    dtype: options.dtype ?? null,
    maxShardBytes: options.maxShardBytes ?? MAX_SHARD_BYTES,
    metadata: provenanceMetadata(provenance),
  });
  const probe = prompts && (yield* probing(base, deltas, folder, prompts, options.probeDtype ?? "float32"));
  if (probe && !isFaithful(probe, tolerance) && !force) {
    throw new CheckpointError(
      `merging lost too much: ${lossOf(probe, tolerance)}; rounding left ${percent(merged)} of the updated weights as they were`,
      { hint: "Write --dtype float32, keep the adapters beside the model (--format peft), or pass --force." },
    );
  }
  const facts = [
    ["weights", `${merged.adapted} of ${merged.tensors} tensors changed`] as const,
    ["lost to rounding", `${percent(merged)} of the updated weights are as they were`] as const,
    ...(probe
      ? [
          [
            "largest logit difference",
            `${digits(probe.difference)} on ${probe.positions} tokens of ${probe.prompts} prompts; the adapters change logits by up to ${digits(probe.effect)}`,
          ] as const,
        ]
      : []),
    ...(probe?.accuracy
      ? [
          [
            "right answers",
            `${digits(probe.accuracy.merged)} % of ${probe.accuracy.rows}, ${digits(probe.accuracy.separate)} % before merging`,
          ] as const,
        ]
      : []),
  ];
  const card = modelCard(provenance, { title, facts, library: "transformers" });
  writeFileAtomic(join(folder, "README.md"), [card]);
  return { merged, probe, notes };
}

const digits = (value: number): string => String(Number(value.toPrecision(3)));

/** Of the weights with an update, those that rounding left unchanged. */
export const percent = ({ updated, unchanged }: Pick<MergeResult, "updated" | "unchanged">): string =>
  `${updated === 0 ? 0 : Number(((100 * unchanged) / updated).toPrecision(3))} %`;

function required(base: string | null, format: ExportFormat, why: string): string {
  if (base !== null) return base;
  throw new UsageError(`--format ${format} needs the base model: ${why}`, {
    hint: "Pass its folder, or builtin, with --base.",
  });
}

function missing({ needs }: Provenance): string[] {
  if (needs.length === 0) return [];
  return [`these adapters say that they also need ${needs.join(", ")}, which are not among them`];
}

function otherBase({ provenance }: Source, base: string | null): string[] {
  const named = provenance.base.name;
  const found = base === null ? null : baseModel(base, base).name;
  const isHubCopy = base !== null && named !== null && base.includes(`models--${named.replace("/", "--")}`);
  if (named === null || found === null || isHubCopy || basename(named) === basename(found)) return [];
  return [`the adapters were trained on the base model ${named}, this export uses ${found}`];
}

/** What vLLM's --max-lora-rank takes. */
const VLLM_RANKS = [1, 8, 16, 32, 64, 128, 256, 320, 512];
const VLLM_DEFAULT = 16;

/** How to start vLLM for an adapter of this rank, where that needs saying. */
export function vllmNote(rank: number, taskType: Source["taskType"]): string[] {
  if (taskType === "SEQ_2_SEQ_LM" || rank <= VLLM_DEFAULT) return [];
  const fits = VLLM_RANKS.find((each) => each >= rank);
  return fits === undefined
    ? [
        `vLLM loads adapters up to rank ${VLLM_RANKS.at(-1)}, this one has ${rank}: export the merged model (--format hf) for it.`,
      ]
    : [
        `vLLM loads it with --max-lora-rank ${fits} (its default is ${VLLM_DEFAULT}, this adapter has rank ${rank}).`,
      ];
}

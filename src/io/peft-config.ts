/** adapter_config.json of a PEFT LoRA folder: what is read from it, what is refused, what is written. */
import { existsSync } from "node:fs";
import { basename, resolve, win32 } from "node:path";
import { CheckpointError } from "../errors.js";
import { configReader } from "./config-reader.js";
import { isObject, show } from "./json.js";
import type { BaseModel } from "./provenance.js";

export interface PeftConfig {
  /** r, without `rank_pattern`. */
  readonly rank: number;
  /** lora_alpha, without `alpha_pattern`. */
  readonly alpha: number;
  readonly dropout: number;
  /** Names (module paths end with one of them), a regular expression, or null: not given, or not for all layers. */
  readonly targetModules: readonly string[] | string | null;
  readonly taskType: string | null;
  readonly base: BaseModel;
  /** Rank-stabilised: the scale is alpha / sqrt(r). */
  readonly rsLora: boolean;
  readonly rankPattern: readonly (readonly [string, number])[];
  readonly alphaPattern: readonly (readonly [string, number])[];
  /** `r_sum` of the files that O-LoRA's and N-LoRA's released code writes: rank of the stacked adapters. */
  readonly stackedRank: number | null;
}

/** What changes the function of an adapter beyond W x + scale B A x; all of it must be off. */
const BEYOND_LORA = [
  ...["use_dora", "use_qalora", "use_bdlora", "lora_bias", "modules_to_save", "layer_replication"],
  ...["alora_invocation_tokens", "arrow_config", "trainable_token_indices", "target_parameters"],
  ...["kasa_config", "monteclora_config", "velora_config"],
];
/** Ways to start that leave the base model as it is. */
const PLAIN_STARTS: readonly unknown[] = [undefined, null, true, false, "gaussian", "eva", "orthogonal"];

/** Reads the fields of plain LoRA. Throws `CheckpointError` for anything that plain LoRA cannot express. */
export function parsePeftConfig(values: Record<string, unknown>, path: string): PeftConfig {
  const read = configReader(values, path);
  const refuse = (key: string, expected: string, hint?: string): never => {
    throw new CheckpointError(
      `${path}: ${show(key)} is ${show(values[key])}, expected ${expected}`,
      hint === undefined ? {} : { hint },
    );
  };
  if (read.string("peft_type") !== "LORA") refuse("peft_type", '"LORA": other adapters are not read');
  for (const key of BEYOND_LORA) {
    if (isOn(values[key])) {
      refuse(
        key,
        "it off: only plain LoRA is read",
        "Merge the adapter into its model with PEFT (merge_and_unload) and start from the merged model.",
      );
    }
  }
  if (read.string("bias", "none") !== "none") refuse("bias", '"none": trained biases are not read');
  if (!PLAIN_STARTS.includes(values.init_lora_weights)) {
    refuse(
      "init_lora_weights",
      "a start that leaves the base model unchanged",
      "Save it with PEFT's path_initial_model_for_weight_conversion, which turns it into plain LoRA.",
    );
  }
  const alphas = pattern(values, "alpha_pattern", path, false);
  if (values.lora_alpha === 0 && alphas.length === 0) {
    refuse("lora_alpha", "a number other than 0: this adapter changes nothing");
  }
  const targets = values.target_modules ?? null;
  const isList = Array.isArray(targets) && targets.every((target) => typeof target === "string");
  if (!isList && targets !== null && typeof targets !== "string") {
    refuse("target_modules", "a list of names, text or null");
  }
  return {
    rank: read.count("r"),
    alpha: read.float("lora_alpha"),
    dropout: read.float("lora_dropout", 0),
    // With a choice of layers, only some of the modules of these names are adapted.
    targetModules: isOn(values.layers_to_transform) ? null : (targets as PeftConfig["targetModules"]),
    taskType: read.string("task_type", "") || null,
    base: {
      name: read.string("base_model_name_or_path", "") || null,
      revision: read.string("revision", "") || null,
    },
    rsLora: read.boolean("use_rslora", false),
    rankPattern: pattern(values, "rank_pattern", path, true),
    alphaPattern: alphas,
    stackedRank: Object.hasOwn(values, "r_sum") ? read.integer("r_sum", 0) : null,
  };
}

const isOn = (value: unknown): boolean =>
  (value ?? false) !== false && (typeof value !== "object" || Object.keys(value as object).length > 0);

/** Values per module. Its keys may be regular expressions in PEFT; here they are names, so that none can run away. */
function pattern(
  values: Record<string, unknown>,
  key: string,
  path: string,
  isRank: boolean,
): [string, number][] {
  const found = values[key] ?? {};
  if (!isObject(found)) {
    throw new CheckpointError(`${path}: ${show(key)} is ${show(found)}, expected an object`);
  }
  const read = configReader(found, `${path}: ${key}`);
  return Object.keys(found).map((name) => {
    if (!/^\^?(?:[\w-]|\\?\.)+\$?$/.test(name)) {
      throw new CheckpointError(
        `${path}: ${key} has the key ${show(name)}, expected a module's name (regular expressions are not read)`,
      );
    }
    return [name, isRank ? read.count(name) : read.float(name)];
  });
}

/** The first entry of a pattern that fits: a whole path after "^", else the end of one. */
function lookUp(entries: PeftConfig["rankPattern"], module: string): number | undefined {
  return entries.find(([key]) => {
    const name = key.replace(/^\^|\$$/g, "").replaceAll("\\.", ".");
    return module === name || (!key.startsWith("^") && module.endsWith(`.${name}`));
  })?.[1];
}

/** The rank that the config gives a module. */
export const rankOf = (config: PeftConfig, module: string): number =>
  lookUp(config.rankPattern, module) ?? config.rank;

/** What PEFT multiplies B A of this module by. */
export function scaleOf(config: PeftConfig, module: string): number {
  const rank = rankOf(config, module);
  return (lookUp(config.alphaPattern, module) ?? config.alpha) / (config.rsLora ? Math.sqrt(rank) : rank);
}

/** Whether a list of target names covers a module; null and a regular expression are not judged. */
export function isTargeted(targets: PeftConfig["targetModules"], module: string): boolean {
  if (targets === null || typeof targets === "string") return true;
  return targets.some((name) => module === name || module.endsWith(`.${name}`));
}

/** A hub name stays; of a path on this machine only the last folder's name is kept. */
export function publicModelName(name: string | null): string | null {
  if (name === null || name === "") return null;
  const isHubName = /^[\w][\w.-]*(\/[\w][\w.-]*)?$/.test(name) && !existsSync(name);
  if (isHubName) return name;
  return (/^[A-Za-z]:|\\/.test(name) ? win32.basename(name) : basename(resolve(name))) || null;
}

export interface PeftSettings {
  readonly dropout: number;
  readonly targetModules: readonly string[];
  readonly taskType: "SEQ_2_SEQ_LM" | "CAUSAL_LM" | null;
  /** Its `name` may be a path, of which the last folder's name is written. */
  readonly base: BaseModel;
}

/** Rank and alpha of a whole adapter, and of the modules that have another rank. */
export interface Ranks {
  readonly rank: number;
  readonly alpha: number;
  readonly rankPattern: Readonly<Record<string, number>>;
  /** Keeps alpha / rank the same for every module, also for readers that know `r` and `lora_alpha` alone. */
  readonly alphaPattern: Readonly<Record<string, number>>;
}

/** The ranks of modules under one scale (alpha / rank): the largest is `r`, and modules of another rank are named. */
export function ranksOf(modules: ReadonlyMap<string, number>, scale: number): Ranks {
  const rank = Math.max(...modules.values());
  const others = [...modules].filter(([, each]) => each !== rank);
  return {
    rank,
    alpha: alphaOf(scale, rank),
    rankPattern: Object.fromEntries(others),
    alphaPattern: Object.fromEntries(others.map(([module, each]) => [module, alphaOf(scale, each)])),
  };
}

/** scale * rank without the rounding of the division that made the scale: 32 / 6 * 6 is 32. */
function alphaOf(scale: number, rank: number): number {
  const alpha = Number((scale * rank).toPrecision(12));
  return alpha / rank === scale ? alpha : scale * rank;
}

/** The content of adapter_config.json for plain LoRA, every field that PEFT, vLLM and llama.cpp look at. */
export function peftConfigJson(settings: PeftSettings, ranks: Ranks): Record<string, unknown> {
  return {
    alpha_pattern: ranks.alphaPattern,
    auto_mapping: null,
    base_model_name_or_path: publicModelName(settings.base.name),
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: ranks.alpha,
    lora_dropout: settings.dropout,
    modules_to_save: null,
    peft_type: "LORA",
    peft_version: "0.21.0",
    r: ranks.rank,
    rank_pattern: ranks.rankPattern,
    revision: settings.base.revision,
    target_modules: settings.targetModules,
    task_type: settings.taskType,
    use_dora: false,
    use_rslora: false,
  };
}

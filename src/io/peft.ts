/**
 * LoRA adapters in PEFT's folder layout: adapter_config.json and adapter_model.safetensors with the keys
 * base_model.model.<module>.lora_A.weight [r, in] and .lora_B.weight [out, r].
 */
import { existsSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { AdapterDelta, LowRankDelta } from "../adapters/delta.js";
import { CheckpointError } from "../errors.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";
import { discard, fileError, syncFolder, temporaryName, writeFileAtomic } from "./files.js";
import { readJsonObject, show } from "./json.js";
import {
  isTargeted,
  type PeftConfig,
  type PeftSettings,
  parsePeftConfig,
  peftConfigJson,
  type Ranks,
  rankOf,
  ranksOf,
  scaleOf,
} from "./peft-config.js";
import { modelCard, type Provenance, provenanceMetadata, readProvenance } from "./provenance.js";
import { assertFinite, SafetensorsFile, writeSafetensors } from "./safetensors.js";
import { type FactorFile, openSparseFactors, sparseEntries } from "./sparse-factors.js";

export type { PeftConfig, PeftSettings } from "./peft-config.js";

/** The files of a folder that make it an adapter. */
export const PEFT_FILES = { config: "adapter_config.json", weights: "adapter_model.safetensors" } as const;
const { config: CONFIG, weights: WEIGHTS } = PEFT_FILES;
/** Instead of the weights, where an adapter was written without its zero rows and columns. PEFT does not read it. */
const SPARSE = "adapter_sparse.safetensors";
const CARD = "README.md";
/** The third group is an adapter's name, which PEFT leaves out when it saves and some tools keep. */
const KEY = /^base_model\.model\.(.+)\.(lora|loranew)_([AB])(?:\.[^.]+)?\.weight$/;

export interface PeftAdapter {
  readonly config: PeftConfig;
  /** Factors as copies in float32, in the file's order, owned by the open scope; named after the folder. */
  readonly delta: AdapterDelta;
  /** Only in files of O-LoRA's and N-LoRA's released code that keep the new task apart: the tasks before, stacked. */
  readonly previous?: AdapterDelta;
  /** What the metadata of the weights says of it; null for adapters that were not made here. */
  readonly provenance: Provenance | null;
}

type Slots = Partial<Record<"lora_A" | "lora_B" | "loranew_A" | "loranew_B", string>>;

/**
 * Reads a folder. `delta.scale` is lora_alpha / r (over sqrt(r) with rsLoRA). Where patterns give a module another
 * scale, its b is multiplied by the ratio, so that the one scale holds for all and scale * B A is what PEFT computes.
 * A file of the released O-LoRA and N-LoRA code (`r_sum`) without `loranew` factors is one adapter of rank r_sum with
 * scale lora_alpha / r. Throws `CheckpointError`: damaged files, anything but plain LoRA, factors without a partner,
 * ranks unlike the config's, NaN and infinity.
 */
export function readPeft(folder: string): PeftAdapter {
  const config = parsePeftConfig(readJsonObject(configPath(folder)), join(folder, CONFIG));
  const path = weightsPath(folder);
  const file = basename(path) === SPARSE ? openSparseFactors(path) : SafetensorsFile.open(path);
  const modules = slotsOf(file, config);
  const name = basename(resolve(folder));
  const read = { file, config, modules };
  const provenance = readProvenance(file.metadata);
  const isSplit = [...modules.values()].some((slots) => slots.loranew_A ?? slots.loranew_B);
  if (!isSplit) {
    return { config, delta: readDelta(read, name, "lora", config.stackedRank || null), provenance };
  }
  const delta = readDelta(read, name, "loranew", config.rank);
  const stacked = [...modules.values()].map(({ lora_A, lora_B }) => {
    const key = lora_A ?? lora_B;
    return key === undefined ? 0 : file.info(key).shape[0];
  });
  const previousRank = config.stackedRank ?? stacked[0]!;
  if (stacked.every((rank) => rank === 0)) return { config, delta, provenance };
  return { config, delta, previous: readDelta(read, `${name} (previous)`, "lora", previousRank), provenance };
}

/** The metadata of an adapter folder's weights; needs no engine. Throws a CheckpointError when it is no adapter. */
export function peftMetadata(folder: string): Readonly<Record<string, string>> {
  configPath(folder);
  return SafetensorsFile.open(weightsPath(folder)).metadata;
}

export interface WriteOptions extends PeftSettings {
  /** `sparse`: without zero rows of B and zero columns of A; `readPeft` restores it bit for bit, PEFT cannot read it. */
  readonly storage?: "dense" | "sparse";
  /** Goes into the metadata of the weights and, for people, into README.md; without it neither is written. */
  readonly provenance?: Provenance;
  /** The first line of README.md, and sentences for its end. */
  readonly title?: string;
  readonly notes?: readonly string[];
}

/** The file with the factors of an adapter folder; where there is none, the one that PEFT would have written. */
export function weightsFile(folder: string): string {
  return !existsSync(join(folder, WEIGHTS)) && existsSync(join(folder, SPARSE)) ? SPARSE : WEIGHTS;
}

/**
 * Writes a folder that PEFT reads, whole or not at all; an adapter already there is replaced, other files stay. `r` is
 * the largest rank and `lora_alpha` is scale * r; modules of another rank are named in the patterns. Throws
 * `CheckpointError` when the factors do not fit together or the settings, or are not finite.
 */
export function writePeft(folder: string, delta: AdapterDelta, options: WriteOptions): void {
  const tensors: [string, Tensor][] = [];
  for (const [module, { a, b }] of delta.modules) {
    checkFactors(a.shape, b.shape, a.dim(0), `${folder}: module ${module}`);
    checkTarget(options.targetModules, module, folder);
    for (const [factor, tensor] of [["A", a] as const, ["B", b] as const]) {
      const key = `base_model.model.${module}.lora_${factor}.weight`;
      assertFinite(tensor, key, folder);
      tensors.push([key, tensor]);
    }
  }
  if (tensors.length === 0)
    throw new CheckpointError(`${folder}: the adapter ${show(delta.name)} has no modules`);
  const ranks = ranksOf(
    new Map([...delta.modules].map(([module, { a }]) => [module, a.dim(0)])),
    delta.scale,
  );
  const { provenance, storage } = options;
  const temporary = temporaryName(resolve(folder));
  try {
    const metadata = provenance ? provenanceMetadata(provenance) : {};
    if (storage === "sparse") {
      const entries = tensors.flatMap(([key, tensor]) => sparseEntries(key, tensor));
      writeSafetensors(join(temporary, SPARSE), entries, metadata);
    } else {
      writeSafetensors(join(temporary, WEIGHTS), tensors, { format: "pt", ...metadata });
    }
    if (provenance) writeFileAtomic(join(temporary, CARD), [adapterCard(provenance, delta, options, ranks)]);
    writeFileAtomic(join(temporary, CONFIG), [
      `${JSON.stringify(peftConfigJson(options, ranks), null, 2)}\n`,
    ]);
    moveInto(temporary, resolve(folder));
  } catch (error) {
    throw fileError(error, `cannot write the adapter folder ${folder}`);
  } finally {
    discard(temporary);
  }
}

function adapterCard(
  provenance: Provenance,
  delta: AdapterDelta,
  { title = delta.name, notes = [] }: WriteOptions,
  { rank, alpha, rankPattern }: Ranks,
): string {
  const others = Object.keys(rankPattern).length;
  const facts = [
    ["rank", `${rank}${others > 0 ? ` (${others} modules have less, see \`rank_pattern\`)` : ""}`] as const,
    ["alpha", `${alpha} (scale alpha / rank = ${Number(delta.scale.toPrecision(6))})`] as const,
    ["modules", String(delta.modules.size)] as const,
  ];
  return modelCard(provenance, { title, facts, notes, library: "peft" });
}

/** The config goes first and comes last: without it, a folder is no adapter. */
function moveInto(temporary: string, folder: string): void {
  if (existsSync(folder)) {
    for (const file of [CONFIG, WEIGHTS, SPARSE]) rmSync(join(folder, file), { force: true });
    for (const file of [WEIGHTS, SPARSE, CARD, CONFIG]) {
      if (existsSync(join(temporary, file))) renameSync(join(temporary, file), join(folder, file));
    }
    syncFolder(folder);
  } else {
    renameSync(temporary, folder);
  }
  syncFolder(dirname(folder));
}

function configPath(folder: string): string {
  const path = join(folder, CONFIG);
  if (existsSync(path)) return path;
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw new CheckpointError(`adapter folder ${folder} does not exist`);
  }
  const inner = readdirSync(folder).filter((name) => existsSync(join(folder, name, CONFIG)));
  throw new CheckpointError(
    `${folder}: no ${CONFIG}, so it is not an adapter folder`,
    inner.length > 0 ? { hint: `There are adapters inside: ${inner.slice(0, 5).join(", ")}` } : {},
  );
}

function weightsPath(folder: string): string {
  const path = join(folder, weightsFile(folder));
  if (existsSync(path)) return path;
  const pickle = existsSync(join(folder, "adapter_model.bin"));
  throw new CheckpointError(
    pickle
      ? `${folder}: found adapter_model.bin, expected ${WEIGHTS}. Pickle files can run code when opened, so they are not read.`
      : `${folder}: no ${WEIGHTS}`,
    pickle ? { hint: "Convert it where Python is at hand: load it with PEFT and save it again." } : {},
  );
}

/** Which key of the file is which factor of which module. */
function slotsOf(file: FactorFile, config: PeftConfig): ReadonlyMap<string, Slots> {
  const modules = new Map<string, Slots>();
  for (const key of file.names) {
    const match = KEY.exec(key);
    if (!match) {
      throw new CheckpointError(
        `${file.path}: tensor ${show(key)} is not a LoRA factor, expected names like base_model.model.<module>.lora_A.weight`,
      );
    }
    const module = match[1]!;
    const slot = `${match[2]}_${match[3]}` as keyof Slots;
    const slots = modules.get(module) ?? {};
    if (slots[slot] !== undefined) {
      throw new CheckpointError(`${file.path}: two ${slot} for ${module}: ${slots[slot]} and ${key}`);
    }
    checkTarget(config.targetModules, module, file.path);
    modules.set(module, { ...slots, [slot]: key });
  }
  if (modules.size === 0)
    throw new CheckpointError(`${file.path}: no LoRA factors, the file holds no tensors`);
  return modules;
}

interface Opened {
  readonly file: FactorFile;
  readonly config: PeftConfig;
  readonly modules: ReadonlyMap<string, Slots>;
}

/** `rank` overrides the config's. */
function readDelta(
  { file, config, modules }: Opened,
  name: string,
  kind: "lora" | "loranew",
  rank: number | null,
): AdapterDelta {
  const base = config.alpha / (config.rsLora ? Math.sqrt(config.rank) : config.rank);
  const scale = base === 0 ? 1 : base;
  const factors = tidy(() =>
    [...modules].map(([module, slots]): [string, { a: Tensor; b: Tensor }] => {
      const keys = [slots[`${kind}_A`], slots[`${kind}_B`]] as const;
      if (keys[0] === undefined || keys[1] === undefined) {
        const missing = keys[0] === undefined ? "A" : "B";
        throw new CheckpointError(
          `${file.path}: module ${module} has no ${kind}_${missing}, only its partner`,
        );
      }
      const [first, second] = [file.info(keys[0]).shape, file.info(keys[1]).shape];
      checkFactors(first, second, rank ?? rankOf(config, module), `${file.path}: module ${module}`);
      const [a, b] = [readFactor(file, keys[0]), readFactor(file, keys[1])];
      const ratio = scaleOf(config, module) / scale;
      if (ratio === 1) return [module, { a, b }];
      const folded = b.mul(ratio);
      assertFinite(folded, keys[1], file.path);
      return [module, { a, b: folded }];
    }),
  );
  return { name, scale, modules: new Map<string, LowRankDelta>(factors) };
}

function readFactor(file: FactorFile, key: string): Tensor {
  const stored = file.tensor(key);
  if (!/float/.test(stored.dtype)) {
    throw new CheckpointError(
      `${file.path}: tensor ${show(key)} is ${stored.dtype}, expected floating point`,
    );
  }
  const factor = stored.toDtype("float32", false, true);
  assertFinite(factor, key, file.path);
  return factor;
}

function checkFactors(a: readonly number[], b: readonly number[], rank: number, what: string): void {
  const fits = a.length === 2 && b.length === 2 && a[0] === rank && b[1] === rank && a[1]! > 0 && b[0]! > 0;
  if (fits) return;
  throw new CheckpointError(
    `${what}: lora_A has shape ${show(a)} and lora_B ${show(b)}, expected [${rank}, inputs] and [outputs, ${rank}]`,
    { hint: `The settings give it rank ${rank}.` },
  );
}

function checkTarget(targets: PeftConfig["targetModules"], module: string, where: string): void {
  if (isTargeted(targets, module)) return;
  throw new CheckpointError(`${where}: factors for ${module}, but target_modules is ${show(targets)}`);
}

/**
 * Adapters that a run starts from. At its first start the run copies them into its folder, and from then on reads its own
 * copies: what they were is recorded with their digests and cannot change under it.
 */
import { copyFileSync, existsSync } from "node:fs";
import { basename, join } from "node:path";
import { withScale } from "../adapters/combine.js";
import type { AdapterDelta } from "../adapters/delta.js";
import { disposeDelta, keepDelta, moveDelta } from "../adapters/lora.js";
import { RunError } from "../errors.js";
import { fileError, sha256 } from "../io/files.js";
import { PEFT_FILES, readPeft, weightsFile } from "../io/peft.js";
import { publicModelName } from "../io/peft-config.js";
import type { RunEvent, StartingAdapter } from "../learn/events.js";
import type { RunFolder } from "../runs/run-folder.js";
import type { Device } from "../tensor/dtype.js";
import { tidy } from "../tensor/scope.js";
import type { Config } from "./config.js";

export interface Start {
  /** Under the run's own scale; owned by the caller. */
  readonly deltas: readonly AdapterDelta[];
  readonly facts: readonly StartingAdapter[];
  readonly notes: readonly string[];
}

/**
 * Reads the adapters that the configuration names. `base` is the run's base model, `journal` tells a first start from a resumed run, whose copies must be
 * those recorded. Throws a CheckpointError for adapters that cannot be read, a RunError for copies that changed.
 */
export function openStart(
  { startFrom, lora }: Pick<Config, "startFrom" | "lora">,
  base: string | null,
  folder: RunFolder,
  journal: readonly RunEvent[],
  device: Device,
): Start {
  const recorded = journal.find((event) => event.type === "run-start")?.startFrom;
  const scale = lora.alpha / lora.rank;
  const deltas: AdapterDelta[] = [];
  const facts: StartingAdapter[] = [];
  const notes: string[] = [];
  try {
    for (const [index, source] of startFrom.entries()) {
      const name = basename(source);
      const path = recorded ? folder.startFolder(index, name) : copied(source, index, folder);
      const digests = digestsOf(path);
      checkUnchanged(digests, recorded?.[index], path);
      tidy(() => {
        const { config, delta, previous, provenance } = readPeft(path);
        for (const part of previous ? [previous, delta] : [delta]) {
          const moved = withScale(moveDelta(part, device), scale);
          deltas.push({ ...keepDelta(moved), name: part === delta ? name : `${name} (previous)` });
        }
        facts.push({
          name,
          ...digests,
          holds: provenance?.holds ?? null,
          rank: Math.max(...[...delta.modules.values()].map(({ a }) => a.dim(0))),
          scale: delta.scale,
          modules: delta.modules.size,
        });
        const trainedOn = publicModelName(config.base.name);
        if (trainedOn !== null && base !== null && basename(trainedOn) !== basename(base)) {
          notes.push(`the adapter ${name} was trained on the base model ${trainedOn}, this run uses ${base}`);
        }
        const needs = provenance?.needs ?? [];
        if (needs.length > 0 && startFrom.length < needs.length + 1) {
          notes.push(
            `the adapter ${name} is one task's update; the model it was made for also needs ${needs.join(", ")}`,
          );
        }
      });
    }
  } catch (error) {
    for (const delta of deltas) disposeDelta(delta);
    throw error;
  }
  return { deltas, facts, notes };
}

/** Copies an adapter that can be read. Returns the copy. */
function copied(source: string, index: number, folder: RunFolder): string {
  tidy(() => void readPeft(source));
  try {
    return folder.saveStart(index, basename(source), (target) => {
      for (const file of [weightsFile(source), PEFT_FILES.config]) {
        copyFileSync(join(source, file), join(target, file));
      }
    });
  } catch (error) {
    throw fileError(error, `cannot copy the adapter ${source}`, RunError);
  }
}

type Digests = Pick<StartingAdapter, "weights" | "config">;

function digestsOf(path: string): Digests {
  const digest = (file: string): string => {
    const whole = join(path, file);
    if (!existsSync(whole)) {
      throw new RunError(
        `cannot resume: the adapter that the run started from is missing, there is no ${whole}`,
        {
          hint: "start the run anew",
        },
      );
    }
    return sha256(whole);
  };
  return { weights: digest(weightsFile(path)), config: digest(PEFT_FILES.config) };
}

function checkUnchanged(found: Digests, recorded: Digests | undefined, path: string): void {
  if (!recorded) return;
  for (const key of ["weights", "config"] as const) {
    if (found[key] === recorded[key]) continue;
    throw new RunError(
      `cannot resume: ${path} changed since the run started: its ${key} have the SHA-256 ${found[key].slice(0, 12)}..., the record says ${recorded[key].slice(0, 12)}...`,
      { hint: "put the recorded adapter back, or start the run anew" },
    );
  }
}

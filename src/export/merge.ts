/**
 * Adapters added to the weights of their base model, tensor by tensor: widened to float32, all updates added, rounded
 * once. W + sum of scale * B A; every other tensor is copied.
 */
import type { AdapterDelta, LowRankDelta } from "../adapters/delta.js";
import { CheckpointError } from "../errors.js";
import { Checkpoint } from "../io/checkpoint.js";
import { show } from "../io/json.js";
import { copySharedFiles, writeModelConfig, writingShards } from "../io/model-folder.js";
import { bytesOf, type PlannedTensor } from "../io/safetensors.js";
import type { DType } from "../tensor/dtype.js";
import { inference } from "../tensor/grad.js";
import type { Tensor } from "../tensor/tensor.js";

export type FloatType = "float32" | "bfloat16" | "float16";

export interface MergeOptions {
  /** Element type of the floating-point tensors; null: as the base has them. */
  readonly dtype: FloatType | null;
  readonly maxShardBytes: number;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface MergeProgress {
  readonly type: "written";
  /** Bytes of tensors, of all that will be written. */
  readonly done: number;
  readonly total: number;
}

export interface MergeResult {
  readonly tensors: number;
  /** How many of them an adapter changes. */
  readonly adapted: number;
  readonly bytes: number;
  /** Weights with an update that is not 0. */
  readonly updated: number;
  /** How many of those are the same after rounding as without the update. */
  readonly unchanged: number;
}

/** Elements worked on at a time: few enough for memory, many enough for speed. */
const BLOCK = 4 * 2 ** 20;

interface Term extends LowRankDelta {
  readonly scale: number;
}

/**
 * Writes config.json, the shared files and the weights into a folder that is there. Throws a CheckpointError for adapters
 * that do not fit the base, for weights that are no floating-point numbers, and for results that are not finite.
 */
export function* merging(
  base: string,
  deltas: readonly AdapterDelta[],
  folder: string,
  options: MergeOptions,
): Generator<MergeProgress, MergeResult> {
  const checkpoint = Checkpoint.open(base);
  const terms = termsOf(checkpoint, deltas);
  const counts = { updated: 0, unchanged: 0 };
  const planned = checkpoint.names.map((name): PlannedTensor => {
    const { dtype: stored, shape } = checkpoint.info(name);
    const dtype = options.dtype !== null && /float/.test(stored) ? options.dtype : stored;
    const own = terms.get(name) ?? [];
    return { name, dtype, shape, bytes: () => blocks(checkpoint, name, dtype, own, counts) };
  });
  const total = planned.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  copySharedFiles(base, folder);
  writeModelConfig(base, folder, options.dtype);
  let done = 0;
  for (const bytes of writingShards(folder, planned, options.maxShardBytes, options.metadata)) {
    done = Math.min(total, done + bytes);
    yield { type: "written", done, total };
  }
  return { tensors: planned.length, adapted: terms.size, bytes: total, ...counts };
}

/** What is added to each weight, by its name. */
function termsOf(checkpoint: Checkpoint, deltas: readonly AdapterDelta[]): ReadonlyMap<string, Term[]> {
  const terms = new Map<string, Term[]>();
  for (const { name: adapter, scale, modules } of deltas) {
    for (const [module, { a, b }] of modules) {
      const name = `${module}.weight`;
      if (!checkpoint.has(name)) {
        throw new CheckpointError(
          `adapter ${adapter}: the model in ${checkpoint.folder} has no weight ${name}`,
          { hint: "Was the adapter trained on a model of this architecture?" },
        );
      }
      const { shape, dtype } = checkpoint.info(name);
      if (show(shape) !== show([b.dim(0), a.dim(1)])) {
        throw new CheckpointError(
          `adapter ${adapter}: its update of ${module} is [${b.dim(0)}, ${a.dim(1)}], the weight in ${checkpoint.folder} ${show(shape)}`,
          { hint: "Was the adapter trained on a model of this size?" },
        );
      }
      if (!/float/.test(dtype)) {
        throw new CheckpointError(
          `${checkpoint.folder}: the weight ${name} is ${dtype}, expected floating point`,
          {
            hint: "Merge into the checkpoint that the quantised one was made from.",
          },
        );
      }
      terms.set(name, [...(terms.get(name) ?? []), { a, b, scale }]);
    }
  }
  return terms;
}

/** The tensor's bytes in `dtype` with the terms added, a few rows at a time. Counts what rounding did to updates. */
function* blocks(
  checkpoint: Checkpoint,
  name: string,
  dtype: DType,
  terms: readonly Term[],
  counts: { updated: number; unchanged: number },
): Generator<Uint8Array> {
  const { shape } = checkpoint.info(name);
  const length = shape[0] ?? 1;
  const width = shape.slice(1).reduce((product, size) => product * size, 1);
  const step = Math.max(1, Math.floor(BLOCK / Math.max(1, width)));
  for (let start = 0; start < length; start += step) {
    const rows = Math.min(step, length - start);
    yield inference(() => {
      const whole = checkpoint.tensor(name);
      const stored = shape.length === 0 ? whole : whole.narrow(0, start, rows);
      if (terms.length === 0) return checked(stored.toDtype(dtype), stored, name, checkpoint).toBytes();
      const wide = stored.toDtype("float32");
      const update = terms
        .map(({ a, b, scale }) => b.narrow(0, start, rows).matmul(a).mul(scale))
        .reduce((sum, term) => sum.add(term));
      const merged = checked(wide.add(update).toDtype(dtype), stored, name, checkpoint);
      const moved = update.ne(0);
      counts.updated += moved.sum().item();
      counts.unchanged += moved
        .logicalAnd(merged.eq(wide.toDtype(dtype)))
        .sum()
        .item();
      return merged.toBytes();
    });
  }
  checkpoint.release(name);
}

/** Throws when rounding or the update made a value infinite, or the base holds one that is not finite. */
function checked(result: Tensor, stored: Tensor, name: string, { folder }: Checkpoint): Tensor {
  if (!/float/.test(result.dtype)) return result;
  const bad = result.size - result.isfinite().sum().item();
  if (bad === 0) return result;
  const before = stored.size - stored.isfinite().sum().item();
  throw new CheckpointError(
    before > 0
      ? `${folder}: tensor ${show(name)} holds ${before} values that are NaN or infinite, expected finite weights`
      : `tensor ${show(name)}: ${bad} merged values are NaN or infinite in ${result.dtype}`,
    before > 0 ? {} : { hint: "Write bfloat16 or float32, which hold larger numbers: --dtype." },
  );
}

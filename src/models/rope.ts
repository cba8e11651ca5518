/**
 * Rotary position embedding (Su et al. 2021): dimensions j and j + half of a head are turned by position * frequency_j.
 * Scaled variants for longer contexts: linear (Chen et al. 2023), llama3 (Llama 3.1's release) and YaRN (Peng et al. 2023).
 */
import { CheckpointError, RunError } from "../errors.js";
import { type ConfigReader, configReader } from "../io/config-reader.js";
import { isObject, show } from "../io/json.js";
import { tensor } from "../tensor/create.js";
import type { Device } from "../tensor/dtype.js";
import { arange } from "../tensor/functions.gen.js";
import { noGrad } from "../tensor/grad.js";
import { tidy } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";

export interface Rope {
  /** Radians per position, half a head's width of them. */
  readonly frequencies: readonly number[];
  /** Cosines and sines are multiplied by it (YaRN). */
  readonly factor: number;
  /** Longer sequences would need other frequencies; null: any length. */
  readonly longest: number | null;
}

/** Arithmetic in single precision, as the published code does it. */
const single = Math.fround;
const WIDEST = 65536;

/**
 * Reads both layouts of a config.json: `rope_theta` with `rope_scaling`, and `rope_parameters` of transformers 5.
 * `width` is that of a head. Throws `CheckpointError` for a kind of scaling that is not computed here.
 */
export function readRope(config: Readonly<Record<string, unknown>>, file: string, width: number): Rope {
  const outer = configReader(config, file);
  const key = isGiven(config.rope_scaling) ? "rope_scaling" : "rope_parameters";
  const values = isGiven(config[key]) ? config[key] : {};
  if (!isObject(values)) {
    throw new CheckpointError(`${file}: ${key} is ${show(values)}, expected an object`);
  }
  const where = `${file}: ${key}`;
  const nested = Object.keys(values).find((name) => isObject(values[name]));
  if (nested !== undefined) {
    throw new CheckpointError(
      `${where} has settings for ${show(nested)}, expected the same ones for all layers`,
    );
  }
  const read = configReader(values, where);
  const kind = read.string("rope_type", read.string("type", "default"));
  const rotated = read.float("partial_rotary_factor", outer.float("partial_rotary_factor", 1));
  if (rotated !== 1) {
    throw new CheckpointError(
      `${file}: partial_rotary_factor is ${rotated}, expected 1: all of a head is rotated here`,
    );
  }
  if (width % 2 !== 0 || width > WIDEST) {
    throw new CheckpointError(
      `${file}: a head is ${width} wide, expected an even width of at most ${WIDEST} to rotate`,
    );
  }
  const theta = read.float("rope_theta", outer.float("rope_theta", 10_000));
  const plain = Array.from({ length: width / 2 }, (_, j) =>
    single(1 / single(theta ** single((2 * j) / width))),
  );
  const longest = () => outer.count("max_position_embeddings");
  // The length of pre-training, where the config says it apart from the length after scaling.
  const original = () =>
    outer.count(
      "original_max_position_embeddings",
      read.count("original_max_position_embeddings", longest()),
    );
  switch (kind) {
    case "default":
      return { frequencies: plain, factor: 1, longest: null };
    case "linear": {
      const factor = read.float("factor");
      return { frequencies: plain.map((frequency) => single(frequency / factor)), factor: 1, longest: null };
    }
    case "llama3":
      return { frequencies: llama3(plain, read, original()), factor: 1, longest: null };
    case "yarn":
      return yarn(theta, width, read, original(), longest);
    case "dynamic":
      // Its frequencies change only once a sequence is longer than this.
      return { frequencies: plain, factor: 1, longest: longest() };
    default:
      throw new CheckpointError(
        `${where}: the kind of scaling is ${show(kind)}, expected default, linear, llama3, yarn or dynamic`,
      );
  }
}

const isGiven = (value: unknown): boolean => value !== undefined && value !== null;

/** Long waves are stretched by the factor, short ones are kept, those between are mixed. */
function llama3(plain: readonly number[], read: ConfigReader, original: number): number[] {
  const factor = read.float("factor");
  const low = read.float("low_freq_factor");
  const high = read.float("high_freq_factor");
  return plain.map((frequency) => {
    const wave = (2 * Math.PI) / frequency;
    if (wave < original / high) return frequency;
    if (wave > original / low) return single(frequency / factor);
    const kept = (original / wave - low) / (high - low);
    return single((1 - kept) * (frequency / factor) + kept * frequency);
  });
}

/** Frequencies are mixed along a ramp over the dimensions; the logits are sharpened by the square of `factor`. */
function yarn(
  theta: number,
  width: number,
  read: ConfigReader,
  original: number,
  longest: () => number,
): Rope {
  const stretch = read.float("factor", 0) || longest() / original;
  const scaleOf = (weight: number) => (stretch <= 1 ? 1 : 0.1 * weight * Math.log(stretch) + 1);
  const [all, own] = [read.float("mscale_all_dim", 0), read.float("mscale", 0)];
  const usual = own && all ? scaleOf(own) / scaleOf(all) : scaleOf(1);
  const factor = read.float("attention_factor", usual);
  // The dimension that turns this often over the length of pre-training.
  const dimension = (turns: number) =>
    (width * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const whole = read.boolean("truncate", true);
  const start = dimension(read.float("beta_fast", 0) || 32);
  const end = dimension(read.float("beta_slow", 0) || 1);
  const first = Math.max(whole ? Math.floor(start) : start, 0);
  let last = Math.min(whole ? Math.ceil(end) : end, width - 1);
  if (first === last) last += 0.001;
  const frequencies = Array.from({ length: width / 2 }, (_, j) => {
    const turn = single(theta ** single((2 * j) / width));
    const stretched = Math.min(Math.max((j - first) / (last - first), 0), 1);
    return single(stretched / (stretch * turn) + (1 - stretched) / turn);
  });
  return { frequencies, factor, longest: null };
}

/** Cosines and sines of some positions, each [rows or 1, length, width / 2] in float32. */
export interface Rotation {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/** Cosines and sines of the positions so far needed, made once and extended by doubling. */
export class RotationTable {
  #length = 0;
  #table: Rotation | null = null;

  constructor(
    readonly rope: Rope,
    readonly device: Device,
  ) {}

  /** Of the positions from `start` on, for all rows alike. Belongs to the open scope. */
  range(start: number, length: number): Rotation {
    const { cos, sin } = this.#upTo(start + length);
    return { cos: cos.narrow(0, start, length).unsqueeze(0), sin: sin.narrow(0, start, length).unsqueeze(0) };
  }

  /** Of a position for every token, row by row. Belongs to the open scope. */
  at(positions: readonly number[], rows: number): Rotation {
    const { cos, sin } = this.#upTo(Math.max(...positions) + 1);
    const index = tensor(positions, [positions.length], "int64", this.device);
    const pick = (table: Tensor) =>
      table.indexSelect(0, index).view([rows, positions.length / rows, table.dim(1)]);
    return { cos: pick(cos), sin: pick(sin) };
  }

  #upTo(length: number): Rotation {
    const { frequencies, factor, longest } = this.rope;
    if (longest !== null && length > longest) {
      throw new RunError(
        `a sequence is ${length} tokens long, expected at most ${longest}: the model's dynamic RoPE scaling, which sets in there, is not computed`,
      );
    }
    if (this.#table && length <= this.#length) return this.#table;
    this.dispose();
    this.#length = Math.max(length, 2 * this.#length, 64);
    this.#table = noGrad(() =>
      tidy(() => {
        const positions = arange(0, this.#length, 1, { dtype: "float32", device: this.device });
        const angles = positions
          .unsqueeze(1)
          .mul(tensor(frequencies, [1, frequencies.length], "float32", this.device));
        return { cos: angles.cos().mul(factor).keep(), sin: angles.sin().mul(factor).keep() };
      }),
    );
    return this.#table;
  }

  dispose(): void {
    this.#table?.cos.dispose();
    this.#table?.sin.dispose();
    this.#table = null;
  }
}

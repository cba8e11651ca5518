/**
 * What `nlora inspect` says of a few adapters: plain numbers, to be drawn, printed or sent. Everything is of dW = B A of each
 * module, times the LoRA scale if `scaled`; definitions in docs/inspect.md. Null: undefined, or not measured.
 */
import type { READINGS } from "./collisions.js";
import type { Awom, OrthogonalOverlap, SparsityRate } from "./geometry.js";

/** A reading of "this element is not zero"; thresholds are per adapter and module. */
export type Reading = keyof typeof READINGS;
/** One value per reading; null also where the reading was not measured. */
export type ByReading<Value = number | null> = Readonly<Record<Reading, Value>>;

/** The update of one adapter within a scope: a module, the modules of a layer, or all modules. */
export interface UpdateInspection {
  /** ||dW||_F, all modules as one vector. */
  readonly frobenius: number;
  /** Sum of the singular values of all modules; the paper's mean over modules is this / modules of the scope. */
  readonly nuclear: number;
  /** Largest singular value. */
  readonly spectral: number;
  /** exp of the entropy of the singular values' shares: mean over the modules with an update that is not zero. */
  readonly effectiveRank: number | null;
  /** ||dW||_F^2 / ||dW||_2^2, the same mean. */
  readonly stableRank: number | null;
  /** Modules of the scope in which the update is zero, or which the adapter does not have. */
  readonly zeroModules: number;
  /** Sum of |dW|. */
  readonly l1: number | null;
  /** Mean over modules, and all modules as one vector. */
  readonly gsr: number | null;
  readonly gsrPooled: number | null;
  /** Share of elements that are not zero. */
  readonly density: ByReading;
}

/** Two subspaces by their principal angles; in a larger scope over the modules where neither update is zero. */
export interface SubspaceAngles {
  /** Smallest one, and mean, in degrees: 0 is shared, 90 orthogonal. */
  readonly smallest: number;
  readonly mean: number;
  /** Mean squared cosine of the angles, in [0, 1]. */
  readonly overlap: number;
  /** What `overlap` is for random subspaces of the same dimensions. */
  readonly random: number;
}

/** Adapter `i` against adapter `j`, i < j. */
export interface PairInspection {
  /** Places in `adapters`, and names. */
  readonly i: number;
  readonly j: number;
  readonly a: string;
  readonly b: string;
  /** Frobenius inner product <dW_i, dW_j>, summed over modules. */
  readonly innerProduct: number;
  /** The same over ||dW_i|| ||dW_j||; null for a zero update. */
  readonly cosine: number | null;
  /** Of A_i A_j^T and of dW_j^T dW_i, summed over modules. */
  readonly orthogonalOverlap: { readonly squared: number; readonly abs: number };
  readonly awom: { readonly spectral: number; readonly frobenius: number };
  /** Row spaces (of inputs) and column spaces (of outputs) of the updates; null where one is zero. */
  readonly rows: SubspaceAngles | null;
  readonly columns: SubspaceAngles | null;
  /** Share of elements that both change. */
  readonly collisionRate: ByReading;
  /** The same of independent supports of these densities. */
  readonly expected: ByReading;
  /** Collision rate over expected: 1 is chance, less is avoidance. */
  readonly lift: ByReading;
}

/** A module, the modules of a layer, or all of them. */
export interface ScopeInspection {
  /** Elements of dW. */
  readonly parameters: number;
  /** The last adapter against each earlier one. */
  readonly orthogonalOverlap: OrthogonalOverlap;
  readonly awom: Awom;
  readonly gsr: Pick<SparsityRate, "mean" | "pooled">;
  /** Mean collision rate of all pairs. */
  readonly acr: ByReading;
  /** [k]: share of elements that at least one of the first k + 1 adapters changes. */
  readonly occupied: ByReading<readonly number[] | null>;
  /** In the order given. */
  readonly adapters: readonly UpdateInspection[];
  readonly pairs: readonly PairInspection[];
}

export interface ModulePair extends PairInspection {
  /** Principal angles in degrees, ascending. */
  readonly rowAngles: readonly number[] | null;
  readonly columnAngles: readonly number[] | null;
}

export interface ModuleInspection extends ScopeInspection {
  readonly module: string;
  readonly layer: string;
  /** dW is outputs x inputs. */
  readonly outputs: number;
  readonly inputs: number;
  /** Rank of each adapter's factors; 0 where it does not have the module. */
  readonly ranks: readonly number[];
  readonly pairs: readonly ModulePair[];
}

export interface LayerInspection extends ScopeInspection {
  /** The modules' common path with the layer's number: model.layers.3, encoder.block.0. */
  readonly layer: string;
  readonly modules: readonly string[];
}

export interface AdapterInspection extends UpdateInspection {
  /** The task of a run, or the last part of the folder's path; unique. */
  readonly name: string;
  readonly folder: string;
  /** Largest rank of its modules. */
  readonly rank: number;
  /** What the model multiplies dW by: alpha / rank, or alpha / sqrt(rank). */
  readonly scale: number;
  /** Modules it has. */
  readonly modules: number;
}

/**
 * Which elements of a module two adapters change, as counts in cells. Cell (y, x), at [y * width + x] of the counts, holds rows
 * rowEdges[y] to rowEdges[y + 1] - 1 of dW and columns columnEdges[x] to columnEdges[x + 1] - 1.
 */
export interface CollisionMap {
  readonly module: string;
  readonly reading: Reading;
  /** Places in `adapters`, and names. */
  readonly i: number;
  readonly j: number;
  readonly a: string;
  readonly b: string;
  readonly outputs: number;
  readonly inputs: number;
  /** Cells down and across, at most 256 each. */
  readonly height: number;
  readonly width: number;
  /** height + 1 and width + 1 places. */
  readonly rowEdges: readonly number[];
  readonly columnEdges: readonly number[];
  readonly onlyA: readonly number[];
  readonly onlyB: readonly number[];
  readonly both: readonly number[];
}

/** All adapters over all modules, then each layer and each module; the last adapter counts as the newest task's. */
export interface Inspection extends ScopeInspection {
  readonly scaled: boolean;
  /** The readings that were measured. */
  readonly readings: readonly Reading[];
  readonly adapters: readonly AdapterInspection[];
  readonly layers: readonly LayerInspection[];
  readonly modules: readonly ModuleInspection[];
  readonly maps: readonly CollisionMap[];
}

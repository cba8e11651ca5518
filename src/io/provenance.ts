/**
 * What an adapter folder or a merged model is made of, said in three places: the metadata of its safetensors files, the
 * standard fields of adapter_config.json, and a model card for people. Keys: docs/adapters.md.
 */
import { realpathSync } from "node:fs";
import { publicModelName } from "./peft-config.js";

export interface BaseModel {
  /** A hub name, or the last folder's name of a path; null: unknown. */
  readonly name: string | null;
  /** The commit on the hub; null: unknown. */
  readonly revision: string | null;
}

export interface Provenance {
  /** `delta`: what one task added. `cumulative`: everything that was trained from the first to the last of `tasks`. */
  readonly holds: "delta" | "cumulative";
  /** The tasks it holds, in the order of training. */
  readonly tasks: readonly string[];
  /** Place of the last of them in its stream, from 1; null: not from one stream. */
  readonly position: number | null;
  /** Name, method and seed of the run; null: not from one run. */
  readonly run: string | null;
  readonly method: string | null;
  readonly base: BaseModel;
  /** Adapters by others that the stream started from and that this one holds as well: name and digest. */
  readonly includes: readonly string[];
  /** Folders to apply together with it to get the model after its last task; none: it is enough. */
  readonly needs: readonly string[];
}

/** `org/name@revision` or a path, and the folder that it was resolved to, as the base model of an adapter. */
export function baseModel(reference: string, folder: string | null): BaseModel {
  const at = /^([\w.-]+\/[\w.-]+)@([\w./-]+)$/.exec(reference);
  const snapshot = folder && /\/snapshots\/([0-9a-f]{40})\/?$/.exec(real(folder));
  return { name: publicModelName(at?.[1] ?? reference), revision: snapshot?.[1] ?? at?.[2] ?? null };
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** The metadata of a safetensors file; lists are JSON. */
export function provenanceMetadata(provenance: Provenance): Record<string, string> {
  const { holds, tasks, position, run, method, base, includes, needs } = provenance;
  const all: Record<string, string | null> = {
    "nlora.holds": holds,
    "nlora.task": tasks.at(-1) ?? null,
    "nlora.tasks": JSON.stringify(tasks),
    "nlora.position": position === null ? null : String(position),
    "nlora.run": run,
    "nlora.method": method,
    "nlora.base_model": base.name,
    "nlora.base_revision": base.revision,
    "nlora.includes": JSON.stringify(includes),
    "nlora.needs": JSON.stringify(needs),
  };
  return Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== null),
  );
}

/** What the metadata says, or null where it says nothing. Never throws: the words of others decide nothing here. */
export function readProvenance(metadata: Readonly<Record<string, string>>): Provenance | null {
  const text = (key: string) => (Object.hasOwn(metadata, key) ? metadata[key]! : null);
  const holds = text("nlora.holds");
  if (holds !== "delta" && holds !== "cumulative") return null;
  const task = text("nlora.task");
  const position = Number(text("nlora.position") ?? "");
  return {
    holds,
    tasks: listOf(text("nlora.tasks")) ?? (task === null ? [] : [task]),
    position: Number.isSafeInteger(position) && position >= 1 ? position : null,
    run: text("nlora.run"),
    method: text("nlora.method"),
    base: { name: text("nlora.base_model"), revision: text("nlora.base_revision") },
    includes: listOf(text("nlora.includes")) ?? [],
    needs: listOf(text("nlora.needs")) ?? [],
  };
}

function listOf(text: string | null): string[] | null {
  try {
    const value: unknown = JSON.parse(text ?? "null");
    return Array.isArray(value) && value.every((entry) => typeof entry === "string") ? value : null;
  } catch {
    return null;
  }
}

/** What the folder holds, in one or two sentences of Markdown. `isMerged`: it holds the base model's weights as well. */
export function describeProvenance(
  { holds, tasks, position, includes, needs }: Provenance,
  isMerged = false,
): string {
  const names = tasks.map(code).join(", ");
  const what =
    holds === "delta"
      ? `**The update of one task**: what training on ${names}${position ? ` (task ${position} of its stream)` : ""} added.`
      : `**The cumulative update** of ${cumulated(tasks, position, includes)}.`;
  if (isMerged) return `A merged model: the base model's weights, with an update added to them. ${what}`;
  if (needs.length === 0) return `${what} With the base model it is enough to get the model after that.`;
  return `${what} To get the model after that, apply it together with ${needs.map(code).join(", ")}: updates add up, in any order.`;
}

function cumulated(tasks: readonly string[], position: number | null, includes: readonly string[]): string {
  const adapters = includes.map(code).join(", ");
  if (tasks.length === 0) return includes.length === 0 ? "an adapter" : `the adapters ${adapters}`;
  const names = tasks.map(code).join(", ");
  const all =
    tasks.length === 1 ? "the task" : position === tasks.length ? `the tasks 1 to ${position}:` : "the tasks";
  return `${all} ${names}${includes.length > 0 ? `, and of the adapters ${adapters}` : ""}`;
}

export interface CardFacts {
  /** What the first line calls it. */
  readonly title: string;
  /** Lines of a table: what, value. */
  readonly facts: readonly (readonly [string, string])[];
  /** Sentences below the table. */
  readonly notes?: readonly string[];
  readonly library: "peft" | "transformers" | "gguf";
  /** Of what is no update of weights: what it is, instead of what the provenance says of updates. */
  readonly prompt?: string;
}

/** README.md: front matter that the hub reads, what the folder holds, and where it comes from. */
export function modelCard(
  provenance: Provenance,
  { title, facts, notes = [], library, prompt }: CardFacts,
): string {
  const { base, run, method, includes } = provenance;
  const isHubName = base.name !== null && /^[\w.-]+\/[\w.-]+$/.test(base.name);
  const front = [
    ...(isHubName ? [`base_model: ${base.name}`] : []),
    `library_name: ${library}`,
    `tags: [${prompt === undefined ? "lora" : "prompt-tuning"}, continual-learning, nlora]`,
  ];
  const table = [
    ["base model", base.name === null ? "not known" : code(base.name)] as const,
    ...(base.revision === null ? [] : [["base revision", code(base.revision)] as const]),
    ...(run === null ? [] : [["run", code(run)] as const]),
    ...(method === null ? [] : [["method", code(method)] as const]),
    ...includes.map((each) => ["includes", code(each)] as const),
    ...facts,
  ];
  return [
    `---\n${front.join("\n")}\n---\n`,
    `# ${title}\n`,
    `${prompt ?? describeProvenance(provenance, library === "transformers")}\n`,
    `| | |\n|---|---|\n${table.map(([what, value]) => `| ${what} | ${value} |`).join("\n")}\n`,
    ...notes.map((note) => `${note}\n`),
  ].join("\n");
}

/** A name from outside as code, so that nothing in it is markup. */
const code = (name: string): string => `\`${name.replace(/[`|\s]+/g, " ").trim()}\``;

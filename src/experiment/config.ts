/**
 * Reads and writes configurations: YAML plus overrides in, a whole `Config` out, or one ConfigError with a line for
 * everything that is wrong. Relative paths count from the working directory and are absolute in the result.
 */
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type Document, LineCounter, parseDocument, stringify } from "yaml";
import { ConfigError, UsageError } from "../errors.js";
import { parseReference } from "../hub/reference.js";
import { defaultLearningRate } from "../methods/registry.js";
import { checkConfig } from "./config-check.js";
import {
  type Origin,
  type Override,
  type Path,
  type Problem,
  problemLines,
  problemsOf,
  show,
  valueAt,
} from "./config-issues.js";
import { HUB } from "./data-schema.js";
import { type Config, configSchema, DEFAULT_GROUPS } from "./schema.js";

export { taskNames } from "./config-check.js";
export type { Config } from "./schema.js";

/** Settings given on the command line; they win over the file's. */
export interface ConfigOverrides {
  /** `key.path=value` each, the value in YAML. */
  readonly set?: readonly string[] | undefined;
  readonly seed?: string | undefined;
  /** Folder of the benchmark data: `data.root`. */
  readonly data?: string | undefined;
}

/** The configuration of a file. Throws a ConfigError. */
export function loadConfig(file: string, overrides: ConfigOverrides = {}): Config {
  let yaml: string;
  try {
    yaml = readFileSync(file, "utf8");
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new ConfigError(
      `cannot read the config ${file}: ${missing ? "there is no such file" : (error as Error).message}`,
      {
        cause: error,
      },
    );
  }
  return parseConfig(yaml, file, overrides);
}

/** The configuration of a YAML text; `name` stands for the file in error messages. Throws a ConfigError. */
export function parseConfig(yaml: string, name: string, overrides: ConfigOverrides = {}): Config {
  const lines = new LineCounter();
  const document = parseDocument(yaml, { lineCounter: lines });
  const [wrong] = document.errors;
  // What the parser says after the first error is mostly what followed from it.
  if (wrong) {
    const { line, col } = lines.linePos(wrong.pos[0]);
    throw new ConfigError(`${name}:${line}:${col}: ${firstSentence(wrong)}`);
  }
  return resolveDocument(document, { file: name, document, lines, overrides: parseOverrides(overrides) });
}

/** The configuration of a plain object; what it leaves out gets its default. Throws a ConfigError. */
export function resolveConfig(values: unknown, overrides: ConfigOverrides = {}): Config {
  return parseConfig(stringify(values), "config", overrides);
}

function resolveDocument(document: Document, origin: Origin): Config {
  const fail = (messages: readonly string[]) => new ConfigError(messages.join("\n"));
  const input = plainValue(document, origin.file) ?? {};
  if (typeof input === "object" && !Array.isArray(input)) {
    const settings = input as Record<string, unknown>;
    for (const [key, value] of Object.entries(settings)) {
      // A group whose settings are all commented out.
      if (value === null) delete settings[key];
    }
    if (origin.overrides.some(isDataFolder)) settings.data ??= { kind: "benchmark" };
    const wrong = origin.overrides.flatMap((override) => applyOverride(settings, override));
    if (wrong.length > 0) throw fail(wrong);
  }
  const checked = checkSettings(input);
  if ("problems" in checked) throw fail(problemLines(checked.problems, origin));
  return checked.config;
}

/** Without the place, which is named otherwise, and the lines of the file. */
const firstSentence = ({ message }: Error): string => message.split(/ at line \d|\n/)[0]!;

/** Throws a ConfigError for aliases of nothing, of too much and of what they are in. */
function plainValue(document: Document, where: string): unknown {
  try {
    const value: unknown = document.toJS();
    JSON.stringify(value, (_, each) => (typeof each === "bigint" ? String(each) : each));
    return value;
  } catch (error) {
    const isCircle = error instanceof TypeError;
    throw new ConfigError(
      `${where}: ${isCircle ? "an alias (*name) within what it stands for; write the value out" : firstSentence(error as Error)}`,
    );
  }
}

/** The configuration of a plain object, which may be changed by this; or all that is wrong with it, each with its setting. */
export function checkSettings(
  input: unknown,
): { readonly config: Config } | { readonly problems: Problem[] } {
  if (typeof input === "object" && input !== null && !Array.isArray(input)) {
    normalise(input as Record<string, unknown>);
  }
  const parsed = configSchema.safeParse(input);
  if (!parsed.success) return { problems: problemsOf(parsed.error, input) };
  const config = complete(parsed.data, input);
  const problems = checkConfig(config);
  return problems.length > 0 ? { problems } : { config };
}

/** Fills in what a default cannot: the order, the method's learning rate, and absolute paths. */
function complete(config: Config, input: unknown): Config {
  if (valueAt(input, ["training", "learningRate"]) === undefined) {
    config.training.learningRate = defaultLearningRate(config.method);
  }
  const absolute = <Value extends string | null>(path: Value) =>
    (path === null ? path : resolve(path)) as Value;
  const { data } = config;
  if (data.kind === "benchmark") {
    if (data.root !== HUB) data.root = absolute(data.root);
    if (data.tasks === null) data.order ??= 1;
  } else if (data.kind === "files") {
    data.tasks = data.tasks.map((task) => {
      // With a dataset, train and test name its splits.
      if (task.dataset !== null) {
        return /^[./~]/.test(task.dataset) ? { ...task, dataset: resolve(task.dataset) } : task;
      }
      const all = (paths: string | string[] | null) =>
        Array.isArray(paths) ? paths.map((path) => resolve(path)) : absolute(paths);
      return { ...task, train: all(task.train), test: all(task.test) };
    });
  }
  // What is no folder here may be a name on the hub.
  const isOnHub = !existsSync(config.model) && parseReference(config.model, "model") !== null;
  if (config.model !== "builtin" && !isOnHub) config.model = absolute(config.model);
  config.startFrom = config.startFrom.map(absolute);
  if ("reference" in config.method) config.method.reference = absolute(config.method.reference);
  return config;
}

function parseOverrides({ set = [], seed, data }: ConfigOverrides): Override[] {
  const overrides = set.map((assignment): Override => {
    const equals = assignment.indexOf("=");
    if (equals < 1) throw new UsageError(`--set expects key=value, found "${assignment}"`);
    const label = `--set ${assignment}`;
    const document = parseDocument(assignment.slice(equals + 1));
    if (document.errors[0]) throw new ConfigError(`${label}: ${firstSentence(document.errors[0])}`);
    const path = assignment.slice(0, equals).split(".");
    return {
      path: path.map((part) => (/^\d+$/.test(part) ? Number(part) : part)),
      value: plainValue(document, label) ?? null,
      label,
    };
  });
  if (data !== undefined) overrides.push({ path: ["data", "root"], value: data, label: `--data ${data}` });
  if (seed !== undefined) {
    const value = /^\d+$/.test(seed) ? Number(seed) : seed;
    overrides.push({ path: ["seed"], value, label: `--seed ${seed}` });
  }
  return overrides;
}

const isDataFolder = ({ label }: Override): boolean => label.startsWith("--data");

/** `method: o-lora` is short for `method: { name: o-lora }`; `data.kind: jsonl` is what `files` was called at first. */
function normalise(settings: Record<string, unknown>): void {
  if (typeof settings.method === "string") settings.method = { name: settings.method };
  const { data } = settings;
  if (valueAt(data, ["kind"]) === "jsonl") settings.data = { ...(data as object), kind: "files" };
}

/** Sets one value, making the mappings that lead to it; returns what is wrong. */
function applyOverride(settings: Record<string, unknown>, override: Override): string[] {
  const { path, value, label } = override;
  const [first] = path;
  if (path.length > 1 && (first === "data" || first === "method"))
    settings[first] ??= { ...DEFAULT_GROUPS[first] };
  if (isDataFolder(override)) {
    const kind = valueAt(settings, ["data", "kind"]);
    if (kind !== "benchmark")
      return [`${label}: only data.kind benchmark has a root; data.kind is ${show(kind)}`];
  }
  normalise(settings);
  let target = settings;
  for (const [depth, part] of path.slice(0, -1).entries()) {
    if (!Object.hasOwn(target, part) || target[part] === null) target[part] = {};
    const next = target[part];
    if (typeof next !== "object" || next === null) {
      return [
        `${label}: ${path.slice(0, depth + 1).join(".")} is ${show(next)}, which has no settings of its own`,
      ];
    }
    target = next as Record<string, unknown>;
  }
  target[path.at(-1) as string] = value;
  return [];
}

/** A configuration as YAML that reads back as the same configuration. */
export function writeConfig(config: Config): string {
  return stringify(config, { lineWidth: 110 });
}

export interface Difference {
  readonly key: string;
  readonly left: unknown;
  readonly right: unknown;
}

/** The first setting in which two configurations differ, or null. */
export function firstDifference(left: unknown, right: unknown, path: Path = []): Difference | null {
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null;
  if (!isObject(left) || !isObject(right) || Array.isArray(left) !== Array.isArray(right)) {
    return Object.is(left, right) ? null : { key: path.join("."), left, right };
  }
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
    const difference = firstDifference(left[key], right[key], [...path, key]);
    if (difference) return difference;
  }
  return null;
}

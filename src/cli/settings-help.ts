/** The config's settings as help text, read off the schema: key, default, meaning. */
import { z } from "zod";
import { configSchema } from "../experiment/schema.js";

type JsonSchema = z.core.JSONSchema.JSONSchema;

/** One line per setting: `training.batchSize  32  rows per optimizer step`. Variants show when they apply. */
export function settingsHelp(): string {
  const lines = settingsOf(z.toJSONSchema(configSchema, { io: "input" }), "");
  const width = Math.max(...lines.map(([key]) => key.length));
  return lines
    .map(([key, value, help]) => `  ${key.padEnd(width)}  ${value.padEnd(12)}  ${help}`.trimEnd())
    .join("\n");
}

type Line = [key: string, defaultValue: string, help: string];

function settingsOf(schema: JsonSchema, prefix: string): Line[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]): Line[] => {
    if (typeof value === "boolean" || typeof value.const === "string") return [];
    const path = prefix === "" ? key : `${prefix}.${key}`;
    if (value.properties) return settingsOf(value, path);
    const variants =
      value.oneOf?.filter((variant): variant is JsonSchema => typeof variant === "object") ?? [];
    if (variants.length === 0) {
      const optional = optionalGroup(value);
      return [[path, show(value.default), helpOf(value)], ...(optional ? settingsOf(optional, path) : [])];
    }
    return variantsOf(variants, path, value);
  });
}

/** The group that a setting is where it is not null. */
function optionalGroup({ anyOf = [] }: JsonSchema): JsonSchema | null {
  const parts = anyOf.filter((part) => typeof part === "object");
  const group = parts.find(({ properties }) => properties !== undefined);
  return group && parts.length === 2 && parts.some(({ type }) => type === "null") ? group : null;
}

/** What is told apart by a word (data.kind, method.name): each setting once, with the variants that have it. */
function variantsOf(variants: readonly JsonSchema[], path: string, whole: JsonSchema): Line[] {
  const merged = new Map<string, { line: Line; names: string[] }>();
  const names: string[] = [];
  let tag = "";
  for (const variant of variants) {
    for (const [key, value] of Object.entries(variant.properties ?? {})) {
      if (typeof value !== "object" || typeof value.const !== "string") continue;
      tag = key;
      names.push(value.const);
    }
    const name = names.at(-1) ?? "";
    for (const line of settingsOf(variant, path)) {
      const id = line.join("\n");
      const known = merged.get(id);
      if (known) known.names.push(name);
      else merged.set(id, { line, names: [name] });
    }
  }
  const chosen = (whole.default as Record<string, unknown> | undefined)?.[tag];
  const head: Line = [`${path}.${tag}`, show(chosen), names.join(", ")];
  return [
    head,
    ...[...merged.values()].map(
      ({ line: [key, value, help], names: of }): Line => [key, value, `[${of.join(", ")}] ${help}`],
    ),
  ];
}

function show(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

function helpOf(schema: JsonSchema): string {
  const words = schema.enum?.map(String).join(" | ") ?? "";
  return [schema.description ?? "", words && `(${words})`].filter((part) => part !== "").join(" ");
}

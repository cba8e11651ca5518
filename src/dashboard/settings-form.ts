/** The form of a new run, read off the config's schema; and the configuration that its fields amount to. */
import { parse, stringify } from "yaml";
import { z } from "zod";
import { type Config, checkSettings, writeConfig } from "../experiment/config.js";
import { configSchema } from "../experiment/schema.js";
import { METHOD_FACTS } from "../methods/registry.js";
import type { Check, FormField, FormItem, FormValues, Problem } from "./pages/wire.js";

type JsonSchema = z.core.JSONSchema.JSONSchema;

let form: readonly FormItem[] | undefined;

/** All settings, in the schema's order. */
export function settingsForm(): readonly FormItem[] {
  form ??= itemsOf(z.toJSONSchema(configSchema, { io: "input" }), "");
  return form;
}

function itemsOf(schema: JsonSchema, prefix: string): FormItem[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]): FormItem[] => {
    if (typeof value === "boolean" || typeof value.const === "string") return [];
    const path = prefix === "" ? key : `${prefix}.${key}`;
    return [itemOf(value, path, key, schema.required?.includes(key) ?? false)];
  });
}

function itemOf(schema: JsonSchema, path: string, label: string, isRequired: boolean): FormItem {
  const help = schema.description ?? "";
  const variants = schema.oneOf?.filter((variant): variant is JsonSchema => typeof variant === "object");
  if (variants) return variantsOf(variants, { path, label, help, chosen: schema.default });
  const { parts, isNullable } = partsOf(schema);
  const group = parts.length === 1 ? parts[0]! : undefined;
  if (group?.properties) {
    return { kind: "group", path, label, help, isOptional: isNullable, items: itemsOf(group, path) };
  }
  return fieldOf(schema, parts, isNullable, { path, label, help, isRequired });
}

/** A schema's alternatives without null, and whether null is one. */
function partsOf(schema: JsonSchema): { parts: JsonSchema[]; isNullable: boolean } {
  const any = schema.anyOf?.filter((part): part is JsonSchema => typeof part === "object") ?? [schema];
  const parts = any.filter((part) => part.type !== "null");
  return { parts, isNullable: parts.length < any.length };
}

function fieldOf(
  schema: JsonSchema,
  parts: readonly JsonSchema[],
  isNullable: boolean,
  place: Pick<FormField, "path" | "label" | "help" | "isRequired">,
): FormField {
  const part = parts.length === 1 ? parts[0]! : undefined;
  const field = { kind: "field" as const, ...place, default: written(schema.default) };
  if (part?.type === "boolean") return { ...field, control: "flag" };
  if (part?.enum && !isNullable) return { ...field, control: "choice", options: part.enum.map(String) };
  if (part?.type === "number" || part?.type === "integer") return { ...field, control: "number" };
  if (part?.type === "string") return { ...field, control: "text" };
  return { ...field, control: "yaml" };
}

/** A default as it is written in a config, on one line. */
function written(value: unknown): string {
  if (value === undefined) return "";
  if (typeof value === "string") return value;
  return stringify(value, { collectionStyle: "flow", lineWidth: 0 }).trim();
}

function variantsOf(
  variants: readonly JsonSchema[],
  { path, label, help, chosen }: { path: string; label: string; help: string; chosen: unknown },
): FormItem {
  const constants = variants.map((variant) =>
    Object.entries(variant.properties ?? {}).flatMap(([key, value]) =>
      typeof value === "object" && typeof value.const === "string" ? [[key, value.const] as const] : [],
    ),
  );
  const tag = constants[0]![0]![0];
  return {
    kind: "variants",
    path,
    label,
    help,
    tag,
    default: written((chosen as Record<string, unknown> | undefined)?.[tag]),
    variants: variants.map((variant, index) => {
      const name = constants[index]![0]![1];
      const facts: Readonly<Record<string, { readonly title: string }>> = METHOD_FACTS;
      return { name, title: facts[name]?.title ?? name, items: itemsOf(variant, path) };
    }),
  };
}

/** What the fields amount to: the whole configuration as it would be run, or what is wrong, at its field. */
export function checkForm(values: FormValues): (Check & { yaml: null }) | (Check & { config: Config }) {
  const settings: Record<string, unknown> = {};
  const problems = place(values, settingsForm(), settings);
  if (problems.length > 0) return { yaml: null, problems };
  const checked = checkSettings(settings);
  if ("config" in checked) return { yaml: writeConfig(checked.config), problems: [], config: checked.config };
  return {
    yaml: null,
    problems: checked.problems.map(({ path, message }) => ({ path: path.join("."), message })),
  };
}

/** Puts values where the config has them; what no field of the form takes is a problem. */
function place(values: FormValues, items: readonly FormItem[], settings: Record<string, unknown>): Problem[] {
  const left = new Map(Object.entries(values));
  const problems: Problem[] = [];
  const put = (target: Record<string, unknown>, path: string, value: unknown) => {
    target[path.split(".").at(-1)!] = value;
  };
  const take = (path: string): string | undefined => {
    const value = left.get(path);
    left.delete(path);
    return value;
  };
  const visit = (each: readonly FormItem[], target: Record<string, unknown>): void => {
    for (const item of each) {
      if (item.kind === "field") {
        const text = take(item.path);
        if (text === undefined) continue;
        try {
          put(target, item.path, settingOf(text, item));
        } catch (error) {
          problems.push({
            path: item.path,
            message: `expected YAML: ${(error as Error).message.split("\n")[0]}`,
          });
        }
        continue;
      }
      const inner: Record<string, unknown> = {};
      if (item.kind === "group") {
        const isOn = !item.isOptional || take(item.path) === "true";
        if (isOn) visit(item.items, inner);
        if (isOn && (item.isOptional || Object.keys(inner).length > 0)) put(target, item.path, inner);
        continue;
      }
      const name = take(`${item.path}.${item.tag}`) ?? item.default;
      inner[item.tag] = name;
      visit(item.variants.find((variant) => variant.name === name)?.items ?? [], inner);
      put(target, item.path, inner);
    }
  };
  visit(items, settings);
  for (const path of left.keys()) problems.push({ path, message: "not a setting of what is chosen" });
  return problems;
}

function settingOf(text: string, { control }: FormField): unknown {
  if (control === "text" || control === "choice") return text === "null" ? null : text;
  return parse(text) as unknown;
}

/** A configuration as the values of the form's fields, for a new run like an earlier one. */
export function valuesOf(config: Config): FormValues {
  const values: Record<string, string> = {};
  const visit = (items: readonly FormItem[], settings: Readonly<Record<string, unknown>>): void => {
    for (const item of items) {
      const value = settings[item.path.split(".").at(-1)!];
      if (item.kind === "field") {
        if (value !== undefined && written(value) !== item.default) values[item.path] = written(value);
      } else if (value === null || value === undefined) {
        // A group that is off.
      } else if (item.kind === "group") {
        if (item.isOptional) values[item.path] = "true";
        visit(item.items, value as Record<string, unknown>);
      } else {
        const name = String((value as Record<string, unknown>)[item.tag]);
        values[`${item.path}.${item.tag}`] = name;
        visit(
          item.variants.find((variant) => variant.name === name)?.items ?? [],
          value as Record<string, unknown>,
        );
      }
    }
  };
  visit(settingsForm(), config);
  return values;
}

/** What MLflow takes as names and values: letters, digits and `_ - . / space`, and sizes that every storage behind it has. */

const KEY_BYTES = 250;
/** Of parameters; newer servers take more. */
export const PARAM_BYTES = 500;
/** Of tags. */
export const TAG_BYTES = 5000;

/** A name that it takes, the same for the same name. No part of it is empty or made of dots alone, as in paths. */
export function mlflowKey(name: string): string {
  const parts = name
    .replaceAll(/[^\p{L}\p{N}_\-. /]/gu, "_")
    .split("/")
    .map((part) => (/^\.*$/.test(part) ? part.replaceAll(".", "_") || "_" : part));
  return cut(parts.join("/"), KEY_BYTES).replace(/\/$/, "_");
}

/** The start of a text within so many bytes of UTF-8; a character is whole or not there. */
export function cut(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text;
  let kept = "";
  let size = 0;
  for (const character of text) {
    size += Buffer.byteLength(character);
    if (size > bytes) break;
    kept += character;
  }
  return kept;
}

/** Settings as `training.epochs: 4`: nested keys joined by dots, lists and empty objects as JSON. */
export function flatSettings(value: unknown, path: readonly string[] = []): [string, string][] {
  if (typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length > 0) {
    return Object.entries(value).flatMap(([key, each]) => flatSettings(each, [...path, key]));
  }
  return [[path.join("."), typeof value === "string" ? value : JSON.stringify(value ?? null)]];
}

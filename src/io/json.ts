/** JSON from files nobody vouches for: no key twice, limited depth, an object at the top, `CheckpointError` if not. */
import { CheckpointError } from "../errors.js";
import { readExactly, withFile } from "./files.js";

/** The largest header or JSON file that is read; the format's own limit for a safetensors header. */
export const MAX_JSON_BYTES = 100_000_000;

/** Parses UTF-8 bytes that must hold one JSON object. `what` begins the message of every `CheckpointError`. */
export function parseJsonObject(bytes: Uint8Array, what: string, maxDepth = 64): Record<string, unknown> {
  const text = decode(bytes, what);
  let value: unknown;
  try {
    refuseDuplicates(text, maxDepth);
    value = JSON.parse(text);
  } catch (error) {
    throw new CheckpointError(`${what} is not valid JSON: ${(error as Error).message}`, { cause: error });
  }
  if (!isObject(value)) throw new CheckpointError(`${what}: expected a JSON object, found ${kindOf(value)}`);
  return value;
}

/** Reads a JSON file that must hold one object. Throws `CheckpointError`, also when there is no such file. */
export function readJsonObject(path: string): Record<string, unknown> {
  return parseJsonObject(
    withFile(path, (file, size) => {
      if (size > MAX_JSON_BYTES) {
        throw new CheckpointError(
          `${path}: ${size} bytes, expected at most ${MAX_JSON_BYTES} for a settings file`,
        );
      }
      return readExactly(file, 0, size, path);
    }),
    path,
  );
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A value as an error message shows it: short. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function kindOf(value: unknown): string {
  return Array.isArray(value) ? "a list" : value === null ? "null" : `a ${typeof value}`;
}

function decode(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new CheckpointError(`${what} is not valid UTF-8`, { cause: error });
  }
}

/** `JSON.parse` keeps the last of two equal keys silently. Runs before it, so it must bear text that is no JSON. */
function refuseDuplicates(text: string, maxDepth: number): void {
  const open: (Set<string> | null)[] = []; // the keys of each open object; null for a list
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "{" || character === "[") {
      if (open.push(character === "{" ? new Set() : null) > maxDepth) {
        throw new Error(`nested deeper than ${maxDepth}`);
      }
    } else if (character === "}" || character === "]") open.pop();
    else if (character === '"') {
      const start = at++;
      while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
      let next = at + 1;
      while (/\s/.test(text[next] ?? "")) next++;
      if (text[next] !== ":") continue;
      const key = JSON.parse(text.slice(start, at + 1)) as string;
      const keys = open.at(-1);
      if (keys?.has(key)) throw new Error(`the key ${show(key)} occurs twice`);
      keys?.add(key);
    }
  }
}

/** Reads a JSON file as a field that knows the file's name. */

import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { CheckpointError } from "../../errors.js";
import { Field } from "./fields.js";

export function readJson(path: string): Field {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new CheckpointError(
      missing ? `${path} does not exist` : `${path} cannot be read: ${messageOf(cause)}`,
      { cause },
    );
  }
  try {
    return new Field(JSON.parse(text), `${basename(path)}:`);
  } catch (cause) {
    throw new CheckpointError(`${path} is not valid JSON: ${messageOf(cause)}`, { cause });
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

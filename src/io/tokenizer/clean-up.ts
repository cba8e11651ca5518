/** Blanks that word-piece tokenizers leave before punctuation, taken away as transformers' `clean_up_tokenization` does. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readJson } from "./read-json.js";

/** In this order. */
const REPLACEMENTS: readonly (readonly [string, string])[] = [
  [" .", "."],
  [" ?", "?"],
  [" !", "!"],
  [" ,", ","],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

export const cleanUp = (text: string): string =>
  REPLACEMENTS.reduce((result, [from, to]) => result.replaceAll(from, to), text);

/** Whether the folder's tokenizer_config.json asks for it. */
export function asksToCleanUp(folder: string): boolean {
  const path = join(folder, "tokenizer_config.json");
  return existsSync(path) && readJson(path).get("clean_up_tokenization_spaces").boolean(false);
}

/** What a vocabulary model offers to the tokenizer, and the reading of one from `tokenizer.json`. */

import type { Field } from "./fields.js";
import { readBpe } from "./read-bpe.js";
import { readUnigram } from "./unigram.js";

export interface Model {
  /** Number of tokens in the model's own vocabulary. */
  readonly size: number;
  /** Id of the token that stands for text outside the vocabulary. */
  readonly unkId: number | null;
  /** Appends the ids of one pre-tokenized piece, which is well-formed and not empty. */
  append(piece: string, ids: number[]): void;
  tokenToId(token: string): number | undefined;
  idToToken(id: number): string | undefined;
}

export function readModel(field: Field): Model {
  const type = field.get("type");
  // Old files leave the type out; the library then tells the models apart by their members.
  const inferred = type.missing ? (Array.isArray(field.get("vocab").value) ? "Unigram" : "BPE") : type.value;
  if (inferred === "Unigram") return readUnigram(field);
  if (inferred === "BPE" && (!type.missing || !field.get("merges").missing)) return readBpe(field);
  throw type.unsupported("model", ["Unigram", "BPE"]);
}

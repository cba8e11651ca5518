/** Reads a `model` of type BPE from `tokenizer.json` and checks that its merges fit its vocabulary. */

import { CheckpointError } from "../../errors.js";
import { Bpe } from "./bpe.js";
import { type Field, isIndex } from "./fields.js";
import { MergeTable } from "./merge-table.js";

export function readBpe(field: Field): Bpe {
  const dropout = field.get("dropout");
  if (!dropout.missing && dropout.value !== 0) {
    throw new CheckpointError(
      `${dropout.where} is ${String(dropout.value)}: merges dropped at random cannot be reproduced`,
      {
        hint: "Set it to null.",
      },
    );
  }
  const vocabulary = readVocabulary(field.get("vocab"));
  const unkField = field.get("unk_token");
  const unkToken = unkField.missing ? null : unkField.string();
  if (unkToken !== null && !vocabulary.has(unkToken)) throw unkField.wrong("a token of the vocabulary");
  const continuingPrefix = field.get("continuing_subword_prefix").string("");
  return new Bpe(vocabulary, readMerges(field.get("merges"), vocabulary, continuingPrefix), {
    unkToken,
    continuingPrefix,
    endOfWordSuffix: field.get("end_of_word_suffix").string(""),
    fuseUnk: field.get("fuse_unk").boolean(false),
    byteFallback: field.get("byte_fallback").boolean(false),
    ignoreMerges: field.get("ignore_merges").boolean(false),
  });
}

function readVocabulary(field: Field): Map<string, number> {
  const vocabulary = new Map<string, number>();
  for (const [token, id] of Object.entries(field.object())) {
    if (!isIndex(id)) throw field.get(token).wrong("a token id");
    vocabulary.set(token, id);
  }
  return vocabulary;
}

function readMerges(field: Field, vocabulary: Map<string, number>, continuingPrefix: string): MergeTable {
  const merges = field.array();
  const table = new MergeTable(merges.length);
  for (const [rank, merge] of merges.entries()) {
    const [left, right] = readPair(merge);
    const place = `${field.where}[${rank}]`;
    if (left === undefined || right === undefined) {
      throw new CheckpointError(
        `${place} is ${JSON.stringify(merge)}; expected two tokens, as "a b" or ["a", "b"]`,
      );
    }
    const idOf = (token: string): number => {
      const id = vocabulary.get(token);
      if (id !== undefined) return id;
      throw new CheckpointError(
        `${place} merges ${JSON.stringify([left, right])}, but ${JSON.stringify(token)} is not in the vocabulary`,
      );
    };
    table.set(idOf(left), idOf(right), rank, idOf(left + right.slice(continuingPrefix.length)));
  }
  return table;
}

function readPair(merge: unknown): [string?, string?] {
  const parts: readonly unknown[] =
    typeof merge === "string" ? merge.split(" ") : Array.isArray(merge) ? merge : [];
  const [left, right] = parts;
  return parts.length === 2 && typeof left === "string" && typeof right === "string" ? [left, right] : [];
}

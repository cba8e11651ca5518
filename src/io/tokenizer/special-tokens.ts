/** Which tokens mean padding, end, beginning and unknown: by the files beside `tokenizer.json`, else by custom. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Field } from "./fields.js";
import { readJson } from "./read-json.js";

export interface SpecialIds {
  readonly padId: number | null;
  readonly eosId: number | null;
  readonly bosId: number | null;
  readonly unkId: number | null;
}

export const ROLES = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"] as const;
export type Role = (typeof ROLES)[number];

/** Names that special tokens go by, tried where no file says which token it is. */
const customary: Readonly<Record<"pad" | "eos" | "bos" | "unk", readonly string[]>> = {
  pad: ["<pad>", "[PAD]", "<|pad|>"],
  eos: ["</s>", "<eos>", "<|endoftext|>", "<|end_of_text|>"],
  bos: ["<s>", "<bos>", "<|begin_of_text|>"],
  unk: ["<unk>", "[UNK]"],
};

/** A token as a file names it: its text, null where the file says that there is none, and the place for errors. */
interface NamedToken {
  readonly text: string | null;
  readonly field: Field;
}

/** The tokens that `tokenizer_config.json`, or else `special_tokens_map.json`, of a folder name. */
export function readNamedTokens(folder: string): Partial<Record<Role, NamedToken>> {
  const files = ["tokenizer_config.json", "special_tokens_map.json"]
    .filter((name) => existsSync(join(folder, name)))
    .map((name) => readJson(join(folder, name)));
  const named: Partial<Record<Role, NamedToken>> = {};
  for (const role of ROLES) {
    const field = files.map((file) => file.get(`${role}_token`)).find(({ value }) => value !== undefined);
    if (field === undefined) continue;
    // Older files hold the token's options too.
    const text = typeof field.value === "object" && !field.missing ? field.get("content") : field;
    named[role] = { text: field.missing ? null : text.string(), field };
  }
  return named;
}

/** Ids of the tokens that the files of `folder` name (null: no file is looked at), or that custom does. */
export function readSpecialIds(
  folder: string | null,
  tokenToId: (token: string) => number | null,
  modelUnkId: number | null,
): SpecialIds {
  const named = folder === null ? {} : readNamedTokens(folder);
  const idOf = (role: keyof typeof customary): number | null => {
    const token = named[role];
    if (token === undefined) {
      return customary[role].map(tokenToId).find((id) => id !== null) ?? null;
    }
    if (token.text === null) return null;
    const id = tokenToId(token.text);
    if (id === null) throw token.field.wrong("a token of the vocabulary");
    return id;
  };
  return { padId: idOf("pad"), eosId: idOf("eos"), bosId: idOf("bos"), unkId: modelUnkId ?? idOf("unk") };
}

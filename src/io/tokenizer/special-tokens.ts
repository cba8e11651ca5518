/** Which tokens mean padding, end, beginning and unknown: by the files beside `tokenizer.json`, else by custom. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { Field } from "./fields.js";
import { readJson } from "./read-json.js";

export interface SpecialIds {
  readonly padId: number | null;
  readonly eosId: number | null;
  readonly bosId: number | null;
  readonly unkId: number | null;
}

type Role = "pad" | "eos" | "bos" | "unk";

/** Names that special tokens go by, tried where no file says which token it is. */
const customary: Readonly<Record<Role, readonly string[]>> = {
  pad: ["<pad>", "[PAD]", "<|pad|>"],
  eos: ["</s>", "<eos>", "<|endoftext|>", "<|end_of_text|>"],
  bos: ["<s>", "<bos>", "<|begin_of_text|>"],
  unk: ["<unk>", "[UNK]"],
};

/** Ids from `tokenizer_config.json` and `special_tokens_map.json` in `folder` (null: neither is looked at). */
export function readSpecialIds(
  folder: string | null,
  tokenToId: (token: string) => number | null,
  modelUnkId: number | null,
): SpecialIds {
  const files = ["tokenizer_config.json", "special_tokens_map.json"].map((name) =>
    folder !== null && existsSync(join(folder, name)) ? readJson(join(folder, name)) : new Field({}, name),
  );
  const idOf = (role: Role): number | null => {
    for (const file of files) {
      const field = file.get(`${role}_token`);
      if (field.value === null) return null;
      if (field.value === undefined) continue;
      // Older files hold the token's options too.
      const token = typeof field.value === "object" ? field.get("content").string() : field.string();
      const id = tokenToId(token);
      if (id === null) throw field.wrong("a token of the vocabulary");
      return id;
    }
    const names = customary[role].map(tokenToId);
    return names.find((id) => id !== null) ?? null;
  };
  return { padId: idOf("pad"), eosId: idOf("eos"), bosId: idOf("bos"), unkId: modelUnkId ?? idOf("unk") };
}

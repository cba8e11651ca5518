/**
 * Hugging Face's `tokenizer.json`: text to token ids and back, id for id as the Python `tokenizers` library (0.23)
 * does it. Truncation and padding stored in the file are not applied; `maxLength` asks for the former.
 */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { CheckpointError, ConfigError } from "../../errors.js";
import { type AddedTokens, readAddedTokens } from "./added-tokens.js";
import { Bpe } from "./bpe.js";
import { asksToCleanUp, cleanUp } from "./clean-up.js";
import { type Decoder, readDecoder } from "./decoders.js";
import type { Field } from "./fields.js";
import { type Model, readModel } from "./model.js";
import { type Normalizer, readNormalizer } from "./normalizers.js";
import { type PostProcessor, readPostProcessor } from "./post-processor.js";
import { type PreTokenizer, readPreTokenizer } from "./pre-tokenizers.js";
import { readJson } from "./read-json.js";
import { readSpecialIds, type SpecialIds } from "./special-tokens.js";
import { wellFormed } from "./unicode.js";

export interface EncodeOptions {
  /** Whether to add the special tokens the file's post-processor names (default true); "before": those in front alone. */
  readonly addSpecialTokens?: boolean | "before";
  /** Greatest number of ids, special tokens counted; the end of a longer text is cut off, special tokens are kept. */
  readonly maxLength?: number;
}

export interface DecodeOptions {
  /** Whether to leave out special tokens (default true). */
  readonly skipSpecialTokens?: boolean;
  /**
   * Whether to take away blanks before punctuation and English contractions; by default what the folder's
   * tokenizer_config.json says in `clean_up_tokenization_spaces`, and never for BPE.
   */
  readonly cleanUpSpaces?: boolean;
}

/** What older folders have in place of tokenizer.json. */
const OTHER_FILES = ["tokenizer.model", "spiece.model", "vocab.json", "merges.txt", "vocab.txt"];

function refuseOtherFiles(folder: string): void {
  const found = OTHER_FILES.filter((name) => existsSync(join(folder, name)));
  if (found.length === 0) return;
  throw new CheckpointError(`${folder}: no tokenizer.json, found ${found.join(" and ")}`, {
    hint:
      "transformers writes one, where Python is at hand: AutoTokenizer.from_pretrained(folder).save_pretrained(folder). " +
      "On the hub, other copies of the model often have it.",
  });
}

export class Tokenizer {
  private readonly normalizer: Normalizer;
  private readonly preTokenizer: PreTokenizer;
  private readonly model: Model;
  private readonly postProcessor: PostProcessor;
  private readonly decoder: Decoder | null;
  private readonly added: AddedTokens;
  private readonly special: SpecialIds;
  private readonly cleansUp: boolean;

  private constructor(file: Field, folder: string | null) {
    const normalizer = file.get("normalizer");
    this.normalizer = normalizer.missing ? (input) => input : readNormalizer(normalizer);
    const preTokenizer = file.get("pre_tokenizer");
    this.preTokenizer = preTokenizer.missing ? (pieces) => pieces : readPreTokenizer(preTokenizer);
    this.model = readModel(file.get("model"));
    this.postProcessor = readPostProcessor(file.get("post_processor"));
    const decoder = file.get("decoder");
    this.decoder = decoder.missing ? null : readDecoder(decoder);
    this.added = readAddedTokens(file.get("added_tokens"), this.model, this.normalizer);
    // As in transformers: destructive for BPE, so that it is left out there whatever the file says.
    this.cleansUp = folder !== null && !(this.model instanceof Bpe) && asksToCleanUp(folder);
    this.special = readSpecialIds(folder, (token) => this.tokenToId(token), this.model.unkId);
  }

  /**
   * Reads a `tokenizer.json`. Special ids are found by their customary names.
   * @throws CheckpointError when the file is missing, malformed or uses a component that is not supported
   */
  static fromFile(path: string): Tokenizer {
    return new Tokenizer(readJson(path), null);
  }

  /**
   * Reads `tokenizer.json` in `folder`; special ids come from `tokenizer_config.json` and `special_tokens_map.json`
   * there, as far as they name them.
   * @throws CheckpointError as `fromFile`, and when a special token named there is not in the vocabulary
   */
  static fromFolder(folder: string): Tokenizer {
    const path = join(folder, "tokenizer.json");
    if (!existsSync(path)) refuseOtherFiles(folder);
    return new Tokenizer(readJson(path), folder);
  }

  /** Number of tokens, added ones included. */
  get vocabSize(): number {
    let size = this.model.size;
    for (const content of this.added.byContent.keys())
      if (this.model.tokenToId(content) === undefined) size++;
    return size;
  }

  get padId(): number | null {
    return this.special.padId;
  }

  get eosId(): number | null {
    return this.special.eosId;
  }

  get bosId(): number | null {
    return this.special.bosId;
  }

  get unkId(): number | null {
    return this.special.unkId;
  }

  /**
   * The token ids of `text`. Lone surrogates count as U+FFFD.
   * @throws ConfigError when `maxLength` leaves no room for the special tokens
   */
  encode(text: string, options: EncodeOptions = {}): number[] {
    const add = options.addSpecialTokens ?? true;
    const before = add === false ? [] : this.postProcessor.before;
    const after = add === true ? this.postProcessor.after : [];
    const specials = before.length + after.length;
    const { maxLength = Number.POSITIVE_INFINITY } = options;
    if (!(maxLength >= specials)) {
      throw new ConfigError(
        `maxLength is ${maxLength}; expected at least ${specials}, the number of special tokens`,
      );
    }
    const ids = this.encodeText(wellFormed(text));
    if (ids.length > maxLength - specials) ids.length = maxLength - specials;
    return specials === 0 ? ids : [...before, ...ids, ...after];
  }

  /** The token ids of each text, not padded. */
  encodeBatch(texts: readonly string[], options: EncodeOptions = {}): number[][] {
    return texts.map((text) => this.encode(text, options));
  }

  /**
   * The text of `ids`; ids outside the vocabulary are passed over. Special tokens are told by their ids, so that one
   * marked as normalized is left out too, which the library (by its text) misses.
   */
  decode(ids: readonly number[], options: DecodeOptions = {}): string {
    const skip = options.skipSpecialTokens ?? true;
    const tokens: string[] = [];
    for (const id of ids) {
      if (skip && this.isSpecial(id)) continue;
      const token = this.idToToken(id);
      if (token !== null) tokens.push(token);
    }
    const text = this.decoder === null ? tokens.join(" ") : this.decoder(tokens).join("");
    return (options.cleanUpSpaces ?? this.cleansUp) ? cleanUp(text) : text;
  }

  /** The id of `token`, or null when it is not in the vocabulary. */
  tokenToId(token: string): number | null {
    return this.added.byContent.get(token)?.id ?? this.model.tokenToId(token) ?? null;
  }

  /** The token of `id`, or null when no token has it; of an added token, the form in which it stands in text. */
  idToToken(id: number): string | null {
    return this.added.byId.get(id)?.form ?? this.model.idToToken(id) ?? null;
  }

  /** Whether `id` is a special token, which text usually leaves out. */
  isSpecial(id: number): boolean {
    return this.added.byId.get(id)?.special === true;
  }

  private encodeText(text: string): number[] {
    const ids: number[] = [];
    for (const part of this.added.raw.cut(text)) {
      if (part.id !== undefined) {
        ids.push(part.id);
        continue;
      }
      const { text: normal, atStart } = this.normalizer({ text: part.text, atStart: part.start === 0 });
      for (const inner of this.added.normalized.cut(normal)) {
        if (inner.id !== undefined) ids.push(inner.id);
        else this.encodePiece(inner.text, atStart && inner.start === 0, ids);
      }
    }
    return ids;
  }

  private encodePiece(text: string, atStart: boolean, ids: number[]): void {
    for (const piece of this.preTokenizer({ texts: [text], atStart }).texts) this.model.append(piece, ids);
  }
}

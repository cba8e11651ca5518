/** The `decoder` of `tokenizer.json`: how tokens become text again. */

import { decodeBytes } from "./byte-level.js";
import type { Field } from "./fields.js";
import { Pattern, replaceSpans } from "./pattern.js";
import { prependScheme } from "./pre-tokenizers.js";

/** Turns tokens into parts of the text, which are then joined. */
export type Decoder = (tokens: readonly string[]) => readonly string[];

const supported = [
  "Sequence",
  "ByteLevel",
  "Metaspace",
  "Replace",
  "ByteFallback",
  "Fuse",
  "Strip",
  "BPEDecoder",
];

export function readDecoder(field: Field): Decoder {
  const type = field.get("type");
  switch (type.value) {
    case "Sequence": {
      const steps = field.get("decoders").items().map(readDecoder);
      return (tokens) => steps.reduce((result, step) => step(result), tokens);
    }
    case "ByteLevel":
      return (tokens) => [decodeBytes(tokens)];
    case "Metaspace":
      return metaspace(field.get("replacement").string(), prependScheme(field) !== "never");
    case "Replace": {
      const pattern = Pattern.read(field.get("pattern"));
      const content = field.get("content").string();
      return (tokens) => tokens.map((token) => replaceSpans(token, pattern.find(token), content));
    }
    case "ByteFallback":
      return joinBytes;
    case "Fuse":
      return (tokens) => [tokens.join("")];
    case "Strip": {
      const content = field.get("content").string();
      const start = field.get("start").index();
      const stop = field.get("stop").index();
      return (tokens) => tokens.map((token) => strip(token, content, start, stop));
    }
    case "BPEDecoder": {
      const suffix = field.get("suffix").string("</w>");
      return (tokens) =>
        tokens.map((token, index) => token.replaceAll(suffix, index === tokens.length - 1 ? "" : " "));
    }
    default:
      throw type.unsupported("decoder", supported);
  }
}

function metaspace(mark: string, dropFirst: boolean): Decoder {
  return (tokens) =>
    tokens.map((token, index) => token.replaceAll(mark, dropFirst && index === 0 ? "" : " "));
}

/** Tokens such as `<0xE2>` in a row become the character they spell, or one U+FFFD each when they spell none. */
function joinBytes(tokens: readonly string[]): string[] {
  const result: string[] = [];
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length === 0) return;
    try {
      result.push(strictDecoder.decode(Uint8Array.from(bytes)));
    } catch {
      for (const _ of bytes) result.push("\ufffd");
    }
    bytes = [];
  };
  for (const token of tokens) {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
    if (byte !== undefined) {
      bytes.push(Number.parseInt(byte, 16));
    } else {
      flush();
      result.push(token);
    }
  }
  flush();
  return result;
}

const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function strip(token: string, content: string, start: number, stop: number): string {
  let from = 0;
  for (let i = 0; i < start && token.startsWith(content, from); i++) from += content.length;
  let to = token.length;
  for (let i = 0; i < stop && to - content.length >= from && token.endsWith(content, to); i++) {
    to -= content.length;
  }
  return token.slice(from, to);
}

/** GPT-2's printable alphabet for bytes: every byte has one character, so that byte-level BPE works on text. */

import { utf8 } from "./unicode.js";

const characters = Array.from({ length: 256 }, () => "");
const bytes = new Map<string, number>();

// Bytes that print as themselves in Latin-1 stand for themselves; the others follow from U+0100 on, in order.
let nextFree = 0x100;
for (let byte = 0; byte < 256; byte++) {
  const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  const character = String.fromCharCode(printable ? byte : nextFree++);
  characters[byte] = character;
  bytes.set(character, byte);
}

/** The UTF-8 bytes of `text` in the printable alphabet. */
export function encodeBytes(text: string): string {
  if (/^[!-~]*$/.test(text)) return text;
  if (/^ [!-~]*$/.test(text)) return characters[0x20] + text.slice(1);
  let result = "";
  for (const byte of utf8(text)) result += characters[byte];
  return result;
}

/** The text that tokens in the printable alphabet spell; a token with other characters stands for itself. */
export function decodeBytes(tokens: readonly string[]): string {
  const result: number[] = [];
  for (const token of tokens) {
    const decoded = Array.from(token, (character) => bytes.get(character));
    if (decoded.every((byte) => byte !== undefined)) for (const byte of decoded) result.push(byte);
    else for (const byte of utf8(token)) result.push(byte);
  }
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(result));
}

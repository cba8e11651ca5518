/**
 * SentencePiece's precompiled character map: a double-array trie (Darts-clone format) from UTF-8 sequences to their
 * replacements, applied to grapheme clusters as the Hugging Face library does.
 */

import { CheckpointError } from "../../errors.js";
import type { Field } from "./fields.js";
import { joinedStretches } from "./graphemes.js";
import { characterWidth, utf8 } from "./unicode.js";

/** Longer clusters, in bytes, are mapped character by character. */
const longestCluster = 5;

/** The mapping of texts that a base64 `precompiled_charsmap` stands for. */
export function readCharsmap(field: Field): (text: string) => string {
  const text = field.string();
  const bytes = Buffer.from(text, "base64");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const trieBytes = bytes.length >= 4 ? view.getUint32(0, true) : 0;
  if (trieBytes === 0 || trieBytes % 4 !== 0 || 4 + trieBytes > bytes.length) {
    throw new CheckpointError(
      `${field.where} holds ${bytes.length} bytes with a trie of ${trieBytes}; expected a size, a trie and replacements`,
    );
  }
  const units = Uint32Array.from({ length: trieBytes / 4 }, (_, index) =>
    view.getUint32(4 + index * 4, true),
  );
  const charsmap = new Charsmap(units, bytes.subarray(4 + trieBytes));
  return (input) => charsmap.normalize(input);
}

class Charsmap {
  /** What becomes of a character; null: it stays. Filled as characters come. */
  private readonly characters = new Map<string, string | null>();
  /** By code unit: 1 when the character is known to stay, else 0. */
  private readonly stays = new Uint8Array(1 << 16);

  constructor(
    private readonly units: Uint32Array,
    private readonly replacements: Uint8Array,
  ) {}

  normalize(text: string): string {
    let result = "";
    let done = 0;
    for (const { start, end, clusters } of joinedStretches(text)) {
      result += this.mapCharacters(text.slice(done, start));
      for (const cluster of clusters) result += this.mapCluster(cluster);
      done = end;
    }
    return result + this.mapCharacters(text.slice(done));
  }

  private mapCharacters(text: string): string {
    let result = "";
    let kept = 0;
    let width = 1;
    for (let i = 0; i < text.length; i += width) {
      const unit = text.charCodeAt(i);
      width = characterWidth(unit);
      if (this.stays[unit] === 1) continue;
      const mapped = this.mapCharacter(text.slice(i, i + width));
      if (mapped !== null) {
        result += text.slice(kept, i) + mapped;
        kept = i + width;
      } else if (width === 1) {
        this.stays[unit] = 1;
      }
    }
    return kept === 0 ? text : result + text.slice(kept);
  }

  private mapCluster(cluster: string): string {
    if (cluster.length > 1 && cluster.length <= longestCluster) {
      const bytes = utf8(cluster);
      const mapped = bytes.length <= longestCluster ? this.lookUp(bytes) : null;
      if (mapped !== null) return mapped;
    }
    return this.mapCharacters(cluster);
  }

  private mapCharacter(character: string): string | null {
    let mapped = this.characters.get(character);
    if (mapped === undefined) {
      mapped = this.lookUp(utf8(character));
      this.characters.set(character, mapped);
    }
    return mapped;
  }

  /** The replacement of the shortest prefix of `bytes` that the map has, or null. */
  private lookUp(bytes: Uint8Array): string | null {
    const { units } = this;
    let at = childOffset(units[0]!);
    for (const byte of bytes) {
      if (byte === 0) return null;
      at ^= byte;
      const unit = units[at];
      // A unit is this byte's child when its label, in the low byte, is the byte and it is no leaf (the high bit).
      if (unit === undefined || (unit & 0x800000ff) !== byte) return null;
      at ^= childOffset(unit);
      if ((unit & 0x100) !== 0) return this.replacement((units[at] ?? 0) & 0x7fffffff);
    }
    return null;
  }

  private replacement(start: number): string {
    const end = this.replacements.indexOf(0, start);
    return Buffer.from(this.replacements.subarray(start, end < 0 ? undefined : end)).toString("utf8");
  }
}

function childOffset(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

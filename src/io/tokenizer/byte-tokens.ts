/** Byte fallback: the tokens `<0x00>` to `<0xFF>` that spell text outside the vocabulary. */

/** The ids of the byte tokens `<0x00>` to `<0xFF>`; undefined where the vocabulary lacks one. */
export function byteTokens(lookUp: (token: string) => number | undefined): (number | undefined)[] {
  return Array.from({ length: 256 }, (_, byte) =>
    lookUp(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`),
  );
}

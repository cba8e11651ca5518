/**
 * Characters as the Python library sees them. Its tables are older than Node's: its regular expressions know Unicode
 * 16.0, its normal forms about 9.0. Below are the code points on which they differ.
 */

/** Replaces lone surrogates, which have no UTF-8 form, by U+FFFD. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

/** Whether the code unit is whitespace (Unicode `White_Space`; all of it lies in the basic plane). */
export function isWhitespace(unit: number): boolean {
  if (unit < 0x80) return unit === 0x20 || (unit >= 0x09 && unit <= 0x0d);
  return (
    unit === 0x85 ||
    unit === 0xa0 ||
    unit === 0x1680 ||
    (unit >= 0x2000 && unit <= 0x200a) ||
    unit === 0x2028 ||
    unit === 0x2029 ||
    unit === 0x202f ||
    unit === 0x205f ||
    unit === 0x3000
  );
}

/** Length in code units of the character that starts with `unit`, in well-formed text. */
export function characterWidth(unit: number): 1 | 2 {
  return unit >= 0xd800 && unit < 0xdc00 ? 2 : 1;
}

const encoder = new TextEncoder();

/** The UTF-8 bytes of well-formed text. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Code points that regular expressions must not know yet: new in Unicode 17.0. */
const newInUnicode17 =
  "88f c5c cdc 1acf-1add 1ae0-1aeb 20c1 2b96 a7ce-a7cf a7d2 a7d4 a7f1 fbc3-fbd2 fd90-fd91 fdc8-fdce " +
  "10940-10959 10ec5-10ec7 10ed0-10ed8 10efa-10efb 11b60-11b67 11db0-11ddb 11de0-11de9 16ea0-16eb8 16ebb-16ed3 " +
  "16ff2-16ff6 187f8-187ff 18d09-18d1e 18d80-18df2 1ccfa-1ccfc 1ceba-1ced0 1cee0-1cef0 1e6c0-1e6de 1e6e0-1e6f5 " +
  "1e6fe-1e6ff 1f6d8 1f777-1f77a 1f8d0-1f8d8 1fa54-1fa57 1fa8a 1fa8e 1fac8 1facd 1faea 1faef 1fbfa 2b73a-2b73f " +
  "2cea2-2cead 323b0-33479";

/** Code points that normal forms must leave alone: they decompose, compose or reorder only in later tables. */
const newInNormalForms =
  "7fd 897-89f 8ca-8d3 9fe c3c d3b-d3c eba 1715 1abf-1add 1ae0-1aeb 1df6-1dfa 32ff a7f1-a7f4 a82c ab69 105c9 105d2 " +
  "105da 105e4 10781-10785 10787-107b0 107b2-107ba 10d24-10d27 10d69-10d6d 10eab-10eac 10efa-10efb 10efd-10eff " +
  "10f46-10f50 10f82-10f85 11070 1133b 11382-11385 1138b 1138e 11390-11391 113c2 113c5 113c7-113c8 113ce-113d0 " +
  "1145e 11839-1183a 11935 11938 1193d-1193e 11943 119e0 11a34 11a47 11a99 11d42 11d44-11d45 11d97 11f41-11f42 " +
  "1611e 16121-16129 1612f 16d63 16d67-16d6a 16ff0-16ff1 1ccd6-1ccf9 1e030-1e06d 1e08f 1e130-1e136 1e2ae " +
  "1e2ec-1e2ef 1e4ec-1e4ef 1e5ee-1e5ef 1e6e3 1e6e6 1e6ee-1e6ef 1e6f5 1f16c 1fbf0-1fbf9";

const unknownToRegex = new RegExp(characterClass(`295 ${newInUnicode17}`), "gu");
const unknownToNormalForms = new RegExp(`(${characterClass(newInNormalForms)})`, "u");

/**
 * `text` as a regular expression of the library sees it, at the same positions: characters new in Unicode 17.0 stand
 * as unassigned ones, and U+0295, a lower-case letter until then, as its neighbour that still is.
 */
export function hideNewCharacters(text: string): string {
  return text.replace(unknownToRegex, (found) => {
    if (found === "\u0295") return "\u0296";
    return found.length === 1 ? "\u0378" : "\u{50000}";
  });
}

/** `text` in a normal form, by the library's tables. */
export function normalForm(text: string, form: "NFC" | "NFD" | "NFKC" | "NFKD"): string {
  const parts = text.split(unknownToNormalForms);
  if (parts.length === 1) return text.normalize(form);
  return parts.map((part, index) => (index % 2 === 0 ? part.normalize(form) : part)).join("");
}

/** A character class (flag "u") from ranges in hexadecimal, such as "41-5a 5f". */
export function characterClass(ranges: string): string {
  return `[${ranges.replace(/[0-9a-f]+/g, "\\u{$&}").replaceAll(" ", "")}]`;
}

/** Elements of SVG and HTML as strings; everything that goes in as text or as a value is escaped. */

/** Markup that is ready to be put into a document. A plain string never is: it is text. */
export class Markup {
  readonly text: string;

  /** `text` is taken as it stands. */
  constructor(text: string) {
    this.text = text;
  }
}

export type Content = Markup | string | null | readonly Content[];

export type Attributes = Readonly<Record<string, string | number | null>>;

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text as it may stand in an element or a quoted attribute; what XML forbids becomes U+FFFD. */
export function escaped(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cs}\ufffe\uffff]/gu, (found) => ("\t\n\r".includes(found) ? found : "\ufffd"))
    .replace(/[&<>"']/g, (found) => ENTITIES[found]!);
}

/** One element; attributes that are null are left out, numbers are written in full. */
export function element(name: string, attributes: Attributes, ...content: readonly Content[]): Markup {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => ` ${key}="${escaped(String(value))}"`)
    .join("");
  const inside = join(content);
  return new Markup(
    inside === "" && !NEVER_EMPTY.has(name)
      ? `<${name}${written}/>`
      : `<${name}${written}>${inside}</${name}>`,
  );
}

/** Elements of HTML that a slash does not close. */
const NEVER_EMPTY: ReadonlySet<string> = new Set(["td", "th", "p", "div", "span", "section", "figure", "a"]);

/** Contents one after another. */
export function join(content: Content): string {
  if (content === null) return "";
  if (typeof content === "string") return escaped(content);
  if (content instanceof Markup) return content.text;
  return content.map(join).join("");
}

/** A coordinate: hundredths of a pixel are plenty. */
export const place = (value: number): number => Math.round(value * 100) / 100 + 0;

/** About how wide a text is at a font size, in pixels: letters of the widest of the usual system fonts, on average. */
export function textWidth(text: string, size = 12): number {
  let width = 0;
  for (const letter of text) width += widthOf(letter);
  return width * size;
}

function widthOf(letter: string): number {
  const code = letter.codePointAt(0)!;
  if (
    code >= 0x1100 &&
    /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}]/u.test(
      letter,
    )
  )
    return 1.05;
  if (/[iljtfrI.,:;'|!()[\]\s/-]/.test(letter)) return 0.36;
  if (/[mwMW@%]/.test(letter)) return 0.95;
  return /\p{Lu}/u.test(letter) ? 0.72 : 0.62;
}

/** A text cut with an ellipsis to about that many pixels. */
export function shortened(text: string, width: number, size = 12): string {
  if (textWidth(text, size) <= width) return text;
  let kept = "";
  for (const letter of text) {
    if (textWidth(`${kept}${letter}…`, size) > width) break;
    kept += letter;
  }
  return `${kept}…`;
}

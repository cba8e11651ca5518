/** Text while its tokens come in: only whole characters, and nothing that may turn out to begin a stop text. */

/** What turning ids into text needs of a tokenizer. */
export interface StreamDecoder {
  decode(ids: readonly number[], options?: { skipSpecialTokens?: boolean }): string;
  isSpecial(id: number): boolean;
}

/** A character whose bytes are not all there yet. */
const INCOMPLETE = "\ufffd";

export class TextStream {
  readonly #decoder: StreamDecoder;
  readonly #stops: readonly string[];
  /** Tokens since some point at which the text was whole: `#read` of them are turned into text, the others wait. */
  #ids: number[] = [];
  #read = 0;
  /** Text that may begin a stop text. */
  #held = "";
  #stopped = false;

  constructor(decoder: StreamDecoder, stops: readonly string[]) {
    this.#decoder = decoder;
    this.#stops = stops;
  }

  /** Whether a stop text has come. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Takes a token; returns the text that is certain now. Special tokens have none. */
  push(id: number): string {
    if (this.#stopped || this.#decoder.isSpecial(id)) return "";
    this.#ids.push(id);
    return this.#release(this.#newText(false), false);
  }

  /** The rest, when no token follows. */
  finish(): string {
    return this.#stopped ? "" : this.#release(this.#newText(true), true);
  }

  /**
   * Text of the waiting tokens. How a token reads depends on those before it (a blank at the start of a text is dropped,
   * characters span tokens), so it is the difference that they make to the text of the ones before.
   */
  #newText(isLast: boolean): string {
    const before = this.#decoder.decode(this.#ids.slice(0, this.#read));
    const whole = this.#decoder.decode(this.#ids);
    if (whole.endsWith(INCOMPLETE) && !isLast) return "";
    // Bytes that spell nothing can make those before them unreadable too; what was said stays.
    const text = whole.startsWith(before)
      ? whole.slice(before.length)
      : this.#decoder.decode(this.#ids.slice(this.#read));
    this.#ids = this.#ids.slice(this.#read);
    this.#read = this.#ids.length;
    return text;
  }

  #release(text: string, isLast: boolean): string {
    this.#held += text;
    const stop = firstStop(this.#held, this.#stops);
    if (stop !== null) {
      this.#stopped = true;
      const certain = this.#held.slice(0, stop);
      this.#held = "";
      return certain;
    }
    const certain = isLast ? this.#held.length : this.#held.length - overlap(this.#held, this.#stops);
    const released = this.#held.slice(0, certain);
    this.#held = this.#held.slice(certain);
    return released;
  }
}

/** Where the stop text begins that is complete first (of several, the longest); null: none is. */
function firstStop(text: string, stops: readonly string[]): number | null {
  let start: number | null = null;
  let end = Number.POSITIVE_INFINITY;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    if (at < 0) continue;
    if (at + stop.length < end || (at + stop.length === end && at < start!)) {
      start = at;
      end = at + stop.length;
    }
  }
  return start;
}

/** Length of the longest end of `text` that a stop text begins with. */
function overlap(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops) {
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
      if (text.endsWith(stop.slice(0, length))) longest = length;
    }
  }
  return longest;
}

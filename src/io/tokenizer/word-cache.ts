/** Remembers the ids of words already split; bounded, and emptied when full. */

/** Words longer than this are not worth remembering: they hardly come again. */
const longestWord = 48;
const mostWords = 50_000;

export class WordCache {
  private readonly words = new Map<string, readonly number[]>();

  /** Appends the ids of `word` to `ids`, calling `split` for a word not seen lately. */
  append(word: string, ids: number[], split: (word: string, ids: number[]) => void): void {
    if (word.length > longestWord) {
      split(word, ids);
      return;
    }
    const known = this.words.get(word);
    if (known !== undefined) {
      for (const id of known) ids.push(id);
      return;
    }
    const start = ids.length;
    split(word, ids);
    if (this.words.size >= mostWords) this.words.clear();
    this.words.set(word, ids.slice(start));
  }
}

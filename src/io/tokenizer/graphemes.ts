/** Extended grapheme clusters (Unicode Standard Annex 29), looked for only where characters may join. */

/** Characters that may join a neighbour: marks, joiners, prepended signs, regional indicators, conjoining jamo, CR. */
const joiner = new RegExp(
  "[\\r\\p{M}\\p{Grapheme_Extend}\\p{Emoji_Modifier}\\p{Regional_Indicator}\\u200c\\u200d\\u0e33\\u0eb3" +
    "\\u1100-\\u11ff\\ua960-\\ua97c\\ud7b0-\\ud7fb" +
    "\\u0600-\\u0605\\u06dd\\u070f\\u0890\\u0891\\u08e2\\u0d4e\\u{110bd}\\u{110cd}\\u{111c2}\\u{111c3}\\u{113d1}" +
    "\\u{1193f}\\u{11941}\\u{11a3a}\\u{11a84}-\\u{11a89}\\u{11d46}\\u{11f02}]",
  "u",
);
/** A stretch of joiners with the characters they may join. */
const stretch = new RegExp(`[^]?${joiner.source}+(?:[^]?${joiner.source}+)*[^]?`, "gu");

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });

/** Part of a text in which characters may join: its bounds and its grapheme clusters. */
export interface JoinedStretch {
  readonly start: number;
  readonly end: number;
  readonly clusters: readonly string[];
}

/** The stretches of well-formed text in which characters may join; elsewhere every character is a cluster. */
export function* joinedStretches(text: string): Generator<JoinedStretch> {
  for (const { index, 0: joined } of text.matchAll(stretch)) {
    const clusters = Array.from(segmenter.segment(joined), ({ segment }) => segment);
    yield { start: index, end: index + joined.length, clusters };
  }
}

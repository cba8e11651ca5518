/**
 * The fifteen text classification datasets of the continual-learning benchmark, as data.
 * Labels, instructions and sizes as in the release of the O-LoRA and N-LoRA papers (N-LoRA, Tables 5 and 6).
 */
import { DataError } from "../errors.js";

export type Family = "SC" | "TC" | "NLI" | "QQP" | "WiC" | "COPA" | "BoolQA" | "MultiRC";

export interface CatalogEntry {
  /** Name in the orders and in the prompt; also the folder below the family's folder. */
  readonly name: string;
  readonly family: Family;
  /** In the order of the prompt's option line. */
  readonly labels: readonly string[];
  /** One line without its newline; null: the prompt has neither instruction nor option line. */
  readonly instruction: string | null;
  /** Rows of the official release, which a copy of the data may fall short of. */
  readonly officialRows: { readonly train: number; readonly test: number };
  /** A gold label that means "no agreed answer"; rows with it are left out and counted. */
  readonly noAnswerLabel?: string;
}

export const INSTRUCTIONS: Readonly<Record<Family, string | null>> = {
  SC: "What is the sentiment of the following paragraph? Choose one from the option.",
  TC: "What is the topic of the following paragraph? Choose one from the option.",
  NLI: 'What is the logical relationship between the "sentence 1" and the "sentence 2"? Choose one from the option.',
  QQP: 'Whether the "first sentence" and the "second sentence" have the same meaning? Choose one from the option.',
  WiC: "Given a word and two sentences, whether the word is used with the same sense in both sentence? Choose one from the option.",
  COPA: null,
  BoolQA: "According to the following passage, is the question true or false? Choose one from the option.",
  MultiRC:
    "According to the following passage and question, is the candidate answer true or false? Choose one from the option.",
};

const STARS = ["very negative", "negative", "neutral", "positive", "very positive"];

function entry(
  family: Family,
  name: string,
  labels: readonly string[],
  train: number,
  test: number,
): CatalogEntry {
  return { name, family, labels, instruction: INSTRUCTIONS[family], officialRows: { train, test } };
}

export const CATALOG: readonly CatalogEntry[] = [
  entry(
    "TC",
    "dbpedia",
    [
      "Company",
      "Educational Institution",
      "Artist",
      "Athlete",
      "Office Holder",
      "Mean of Transportation",
      "Building",
      "Natural Place",
      "Village",
      "Animal",
      "Plant",
      "Album",
      "Film",
      "Written Work",
    ],
    14000,
    7600,
  ),
  entry("SC", "amazon", STARS, 5000, 7600),
  entry(
    "TC",
    "yahoo",
    [
      "Society & Culture",
      "Science & Mathematics",
      "Health",
      "Education & Reference",
      "Computers & Internet",
      "Sports",
      "Business & Finance",
      "Entertainment & Music",
      "Family & Relationships",
      "Politics & Government",
    ],
    10000,
    7600,
  ),
  entry("TC", "agnews", ["World", "Sports", "Business", "Science or Technology"], 4000, 7600),
  entry("SC", "yelp", STARS, 5000, 7600),
  { ...entry("NLI", "MNLI", ["neutral", "entailment", "contradiction"], 3000, 7600), noAnswerLabel: "-" },
  entry("NLI", "CB", ["entailment", "contradiction", "neutral"], 250, 56),
  entry("NLI", "RTE", ["contradiction", "entailment"], 2000, 277),
  entry("QQP", "QQP", ["False", "True"], 2000, 7600),
  entry("WiC", "WiC", ["True", "False"], 2000, 638),
  entry("COPA", "COPA", ["A", "B"], 400, 100),
  entry("BoolQA", "BoolQA", ["True", "False"], 2000, 3270),
  entry("MultiRC", "MultiRC", ["False", "True"], 2000, 4848),
  entry("SC", "IMDB", ["Good", "Bad"], 2000, 7600),
  entry("SC", "SST-2", ["Good", "Bad"], 2000, 872),
];

/** The entry of a dataset. Throws a DataError that lists every name there is. */
export function catalogEntry(name: string): CatalogEntry {
  const found = CATALOG.find((dataset) => dataset.name === name);
  if (found) return found;
  const names = CATALOG.map((dataset) => dataset.name);
  const sameLetters = names.find((known) => known.toLowerCase() === name.toLowerCase());
  throw new DataError(`there is no dataset named "${name}"; the benchmark has ${names.join(", ")}`, {
    hint: sameLetters === undefined ? "use one of these names" : `did you mean "${sameLetters}"?`,
  });
}

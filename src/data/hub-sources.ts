/**
 * The benchmark's datasets as the Hugging Face hub has them: which columns make the sentence, and which class is which
 * label. Sentences are laid out as in the benchmark's own files; what of their text differs there is in docs/data.md.
 */

export interface HubSource {
  /** org/name, with a revision where the files on main are not read. */
  readonly dataset: string;
  readonly subset: string | null;
  readonly train: string;
  readonly test: string;
  /** A prompt template. */
  readonly sentence: string;
  /** The template of rows in which a column is empty. */
  readonly without?: { readonly column: string; readonly sentence: string };
  readonly label: string;
  /** The number of the first class. */
  readonly first: 0 | 1;
  /** The hub's name of each class, in the order of the numbers, and its label in the benchmark. */
  readonly classes: readonly (readonly [name: string, label: string])[];
}

type Entry = Omit<HubSource, "train" | "test" | "label" | "first"> & Partial<HubSource>;

const source = (entry: Entry): HubSource => ({
  train: "train",
  test: "test",
  label: "label",
  first: 0,
  ...entry,
});

const same = (...labels: string[]) => labels.map((label) => [label, label] as const);

const STARS = ["very negative", "negative", "neutral", "positive", "very positive"];
const stars = STARS.map((label, index) => [`${index + 1} star${index === 0 ? "" : "s"}`, label] as const);
const PAIR = "sentence 1: {premise}\nsentence 2: {hypothesis}";
const SENTIMENT = [
  ["negative", "Bad"],
  ["positive", "Good"],
] as const;

const glue = (subset: string, entry: Omit<Entry, "dataset" | "subset">) =>
  source({ dataset: "nyu-mll/glue", subset, test: "validation", ...entry });
const superGlue = (subset: string, entry: Omit<Entry, "dataset" | "subset">) =>
  source({ dataset: "aps/super_glue", subset, test: "validation", ...entry });

/** By the catalog's names. */
export const HUB_SOURCES: Readonly<Record<string, HubSource>> = {
  dbpedia: source({
    dataset: "fancyzhx/dbpedia_14",
    subset: "dbpedia_14",
    sentence: "Title: {title}\nText: {content}\n",
    classes: [
      ["Company", "Company"],
      ["EducationalInstitution", "Educational Institution"],
      ["Artist", "Artist"],
      ["Athlete", "Athlete"],
      ["OfficeHolder", "Office Holder"],
      ["MeanOfTransportation", "Mean of Transportation"],
      ["Building", "Building"],
      ["NaturalPlace", "Natural Place"],
      ["Village", "Village"],
      ["Animal", "Animal"],
      ["Plant", "Plant"],
      ["Album", "Album"],
      ["Film", "Film"],
      ["WrittenWork", "Written Work"],
    ],
  }),
  // CSV of 1.3 GB on main; the hub keeps every dataset as Parquet, too.
  amazon: source({
    dataset:
      "yassiracharki/Amazon_Reviews_for_Sentiment_Analysis_fine_grained_5_classes@refs/convert/parquet",
    subset: "default",
    sentence: "Title: {review_title}\nText: {review_text}\n",
    label: "class_index",
    first: 1,
    classes: stars,
  }),
  yahoo: source({
    dataset: "community-datasets/yahoo_answers_topics",
    subset: "yahoo_answers_topics",
    sentence: "Title: {question_title}\nQuestion: {question_content}\nAnswer: {best_answer}\n",
    without: { column: "question_content", sentence: "Question: {question_title}\nAnswer: {best_answer}\n" },
    label: "topic",
    classes: same(
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
    ),
  }),
  // The better known fancyzhx/ag_news has joined title and text.
  agnews: source({
    dataset: "sh0416/ag_news",
    subset: null,
    sentence: "Title: {title}\nText: {description}\n",
    first: 1,
    classes: [
      ["World", "World"],
      ["Sports", "Sports"],
      ["Business", "Business"],
      ["Sci/Tech", "Science or Technology"],
    ],
  }),
  yelp: source({
    dataset: "Yelp/yelp_review_full",
    subset: "yelp_review_full",
    sentence: "Text: {text}\n",
    classes: stars,
  }),
  MNLI: glue("mnli", {
    test: "validation_matched",
    sentence: PAIR,
    classes: same("entailment", "neutral", "contradiction"),
  }),
  QQP: glue("qqp", {
    sentence: "first sentence: {question1}\nsecond sentence: {question2}",
    classes: [
      ["not_duplicate", "False"],
      ["duplicate", "True"],
    ],
  }),
  RTE: glue("rte", {
    sentence: "sentence 1: {sentence1}\nsentence 2: {sentence2}",
    classes: [
      ["entailment", "entailment"],
      ["not_entailment", "contradiction"],
    ],
  }),
  CB: superGlue("cb", { sentence: PAIR, classes: same("entailment", "contradiction", "neutral") }),
  WiC: superGlue("wic", {
    sentence: "word: {word}\n{sentence1}\n{sentence2}",
    classes: same("False", "True"),
  }),
  COPA: superGlue("copa", {
    sentence:
      'Which sentence is the {question} of "{premise}"? Choose one between A and B.\nA: {choice1}\nB: {choice2}',
    classes: [
      ["choice1", "A"],
      ["choice2", "B"],
    ],
  }),
  BoolQA: superGlue("boolq", {
    sentence: "question: {question}\npassage: {passage}",
    classes: same("False", "True"),
  }),
  MultiRC: superGlue("multirc", {
    sentence: "paragraph: {paragraph}\nquestion: {question}\ncandidate answer: {answer}",
    classes: same("False", "True"),
  }),
  IMDB: source({
    dataset: "stanfordnlp/imdb",
    subset: "plain_text",
    sentence: "{text}",
    classes: [
      ["neg", "Bad"],
      ["pos", "Good"],
    ],
  }),
  "SST-2": source({
    dataset: "stanfordnlp/sst2",
    subset: null,
    test: "validation",
    sentence: "Text: {sentence}",
    classes: SENTIMENT,
  }),
};

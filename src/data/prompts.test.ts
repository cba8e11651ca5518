import { expect, test } from "vitest";
import { catalogEntry } from "./catalog.js";
import { joinPrompt, renderPrompt } from "./prompts.js";

function prompt(name: string, sentence: string, identity?: { name: string; family: string } | null): string {
  const entry = catalogEntry(name);
  return joinPrompt(renderPrompt(entry, entry.labels, sentence, identity === undefined ? {} : { identity }));
}

/** One row of each family, the expected strings written out by hand. */
const EXPECTED: [name: string, sentence: string, source: string][] = [
  [
    "SST-2",
    "Text: does n't deserve a passing grade ( even on a curve ) . ",
    "Task:SC\nDataset:SST-2\nWhat is the sentiment of the following paragraph? Choose one from the option.\nOption: Good, Bad \nText: does n't deserve a passing grade ( even on a curve ) . \nAnswer:",
  ],
  [
    "agnews",
    "Title: A title\nText: Reuters - A lead.\n",
    "Task:TC\nDataset:agnews\nWhat is the topic of the following paragraph? Choose one from the option.\nOption: World, Sports, Business, Science or Technology \nTitle: A title\nText: Reuters - A lead.\n\nAnswer:",
  ],
  [
    "MNLI",
    "sentence 1: You are not being rude.\nsentence 2: You think before you speak.",
    'Task:NLI\nDataset:MNLI\nWhat is the logical relationship between the "sentence 1" and the "sentence 2"? Choose one from the option.\nOption: neutral, entailment, contradiction \nsentence 1: You are not being rude.\nsentence 2: You think before you speak.\nAnswer:',
  ],
  [
    "QQP",
    "first sentence: Is it?\nsecond sentence: Does God exist?",
    'Task:QQP\nDataset:QQP\nWhether the "first sentence" and the "second sentence" have the same meaning? Choose one from the option.\nOption: False, True \nfirst sentence: Is it?\nsecond sentence: Does God exist?\nAnswer:',
  ],
  [
    "WiC",
    "word: cut\nCut orders.\nCut a caper.",
    "Task:WiC\nDataset:WiC\nGiven a word and two sentences, whether the word is used with the same sense in both sentence? Choose one from the option.\nOption: True, False \nword: cut\nCut orders.\nCut a caper.\nAnswer:",
  ],
  [
    "COPA",
    'Which sentence is the cause of "The host cancelled the party."? Choose one between A and B.\nA: She was certain she had the flu.\nB: She worried she would catch the flu.',
    'Task:COPA\nDataset:COPA\nWhich sentence is the cause of "The host cancelled the party."? Choose one between A and B.\nA: She was certain she had the flu.\nB: She worried she would catch the flu.\nAnswer:',
  ],
  [
    "BoolQA",
    "question: is it\npassage: It is.",
    "Task:BoolQA\nDataset:BoolQA\nAccording to the following passage, is the question true or false? Choose one from the option.\nOption: True, False \nquestion: is it\npassage: It is.\nAnswer:",
  ],
  [
    "MultiRC",
    "paragraph: P.\nquestion: Q?\ncandidate answer: C",
    "Task:MultiRC\nDataset:MultiRC\nAccording to the following passage and question, is the candidate answer true or false? Choose one from the option.\nOption: False, True \nparagraph: P.\nquestion: Q?\ncandidate answer: C\nAnswer:",
  ],
];

test.each(EXPECTED)("the prompt of a %s row is byte for byte the official one", (name, sentence, source) => {
  expect(prompt(name, sentence)).toBe(source);
});

test('without identity the "Task:" and "Dataset:" lines are gone and nothing else changes', () => {
  for (const [name, sentence, source] of EXPECTED) {
    expect(prompt(name, sentence, null)).toBe(source.split("\n").slice(2).join("\n"));
  }
});

test("the sentence is the body and the answer line is the suffix", () => {
  const entry = catalogEntry("WiC");
  const parts = renderPrompt(entry, entry.labels, "word: cut");
  expect(parts.body).toBe("word: cut");
  expect(parts.suffix).toBe("\nAnswer:");
  expect(parts.head.endsWith("Option: True, False \n")).toBe(true);
});

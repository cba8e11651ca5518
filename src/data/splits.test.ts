import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { readCard } from "./dataset-card.js";
import { splitFiles, testSplit } from "./splits.js";

const find = (files: readonly string[], split: string, subset: string | null = null, readme?: string) =>
  splitFiles("org/name", files, readme === undefined ? null : readCard(readme, "org/name"), {
    subset,
    split: [split],
  }).files;

const GLUE = ["mnli", "rte"].flatMap((subset) => [
  `${subset}/train-00000-of-00002.parquet`,
  `${subset}/train-00001-of-00002.parquet`,
  `${subset}/validation_matched-00000-of-00001.parquet`,
  `${subset}/validation_mismatched-00000-of-00001.parquet`,
]);

describe("without a card, the names of the files tell the splits", () => {
  test.each<[string, string[], string, string | null, string[]]>([
    ["numbered parts in folders of subsets", GLUE, "train", "rte", GLUE.slice(4, 6)],
    ["a split that is named like another one", GLUE, "validation_matched", "mnli", GLUE.slice(2, 3)],
    [
      "the converted branch",
      ["default/train/0000.parquet", "default/train/0001.parquet", "default/test/0000.parquet"],
      "train",
      null,
      ["default/train/0000.parquet", "default/train/0001.parquet"],
    ],
    [
      "its partial splits",
      ["default/partial-train/0000.parquet", "default/test/0000.parquet"],
      "train",
      null,
      ["default/partial-train/0000.parquet"],
    ],
    ["files named by their split", ["README.md", "train.jsonl", "test.jsonl"], "test", null, ["test.jsonl"]],
    [
      "a folder data",
      ["data/train-00000-of-00001-7a3f.parquet", "data/dev-00000-of-00001-7a3f.parquet"],
      "validation",
      null,
      ["data/dev-00000-of-00001-7a3f.parquet"],
    ],
    [
      "words within names",
      ["my_corpus.train.csv", "my_corpus.val.csv", "dataset_infos.json"],
      "validation",
      null,
      ["my_corpus.val.csv"],
    ],
    ["a file without a split", ["everything.csv"], "train", null, ["everything.csv"]],
    ["a file asked for by its name", ["a/odd.jsonl", "train.jsonl"], "a/odd.jsonl", null, ["a/odd.jsonl"]],
  ])("%s", (_, files, split, subset, expected) => {
    expect(find(files, split, subset)).toEqual(expected);
  });

  test("what is not there is an error that lists what is", () => {
    expect(() => find(GLUE, "train")).toThrowError("org/name: the dataset has 2 subsets (mnli, rte)");
    expect(() => find(GLUE, "train", "qqp")).toThrowError(
      'org/name: there is no subset "qqp"; subsets: mnli, rte',
    );
    expect(() => find(GLUE, "test", "rte")).toThrowError(
      'org/name: there is no split "test" of rte; splits: train, validation_matched, validation_mismatched',
    );
    expect(() => find(["glue.py", "README.md"], "train")).toThrowError(/has no data files that can be read/);
  });

  test("where no split is named, the test split or else the validation split is tested on", () => {
    expect(testSplit("n", ["train.csv", "test.csv", "val.csv"], null, null)).toBe("test");
    expect(testSplit("n", ["train.csv", "val.csv"], null, null)).toBe("validation");
  });
});

describe("a card", () => {
  const card = [
    "---",
    "license: mit",
    "dataset_info:",
    "- config_name: small",
    "  features:",
    "  - name: text",
    "    dtype: string",
    "  - name: label",
    "    dtype:",
    "      class_label:",
    "        names:",
    "          '10': kappa",
    "          '0': alpha",
    "          '1': beta",
    "- config_name: large",
    "  features: []",
    "configs:",
    "- config_name: small",
    "  data_files:",
    "  - split: train",
    "    path: [s/part-*.csv, 'extra/**/*.csv']",
    "  - split: test",
    "    path: s/held-out.csv",
    "- config_name: large",
    "  default: true",
    "  data_files: l/{a,b}?.jsonl",
    "---",
    "# A dataset",
  ].join("\n");
  const files = [
    "s/part-1.csv",
    "s/part-2.csv",
    "s/held-out.csv",
    "extra/x/y/z.csv",
    "extra/w.csv",
    "l/a1.jsonl",
    "l/b2.jsonl",
    "l/c3.jsonl",
  ];

  test("says which files make a split of which subset", () => {
    expect(find(files, "train", "small", card)).toEqual([
      "s/part-1.csv",
      "s/part-2.csv",
      "extra/x/y/z.csv",
      "extra/w.csv",
    ]);
    expect(find(files, "test", "small", card)).toEqual(["s/held-out.csv"]);
    expect(find(files, "train", null, card)).toEqual(["l/a1.jsonl", "l/b2.jsonl"]);
  });

  test("has the names of integer classes in the order of their numbers", () => {
    const names = readCard(card, "org/name").classNames("small");
    expect([...names]).toEqual([["label", ["alpha", "beta", "kappa"]]]);
    expect(readCard(card, "org/name").classNames("large").size).toBe(0);
  });

  test("of any YAML is read or refused by one line", () => {
    const names = fc.constantFrom(
      "configs",
      "dataset_info",
      "data_files",
      "path",
      "split",
      "features",
      "name",
      "dtype",
    );
    const tree = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: "small" },
        fc.string(),
        fc.integer(),
        fc.constant(null),
        tie("list"),
        tie("map"),
      ),
      list: fc.array(tie("value"), { maxLength: 3 }),
      map: fc.dictionary(names, tie("value"), { maxKeys: 3 }),
    }));
    fc.assert(
      fc.property(tree.map, (head) => {
        try {
          const card = readCard(`---\n${stringify(head)}---\n`, "org/name");
          card.classNames("default");
          splitFiles("org/name", ["train.csv", "x/test.csv"], card, { subset: null, split: ["train"] });
        } catch (error) {
          expect(error).toMatchObject({ code: "data", message: expect.stringMatching(/^[^\n]*$/) });
        }
      }),
      { numRuns: 300 },
    );
  });

  test("without a head says nothing, and one that is no YAML or of another form is refused", () => {
    expect(readCard("# Just text\n", "org/name").subsets).toEqual([]);
    expect(() => readCard("---\nconfigs: [\n---\n", "org/name")).toThrowError(
      /^org\/name: the head of the dataset's card cannot be read/,
    );
    expect(() => readCard("---\nconfigs: many\n---\n", "org/name")).toThrowError(/cannot be read/);
  });
});

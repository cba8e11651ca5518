/** The `post_processor` of `tokenizer.json`, for single sequences: the special tokens put around them. */

import { CheckpointError } from "../../errors.js";
import { type Field, isIndex } from "./fields.js";

export interface PostProcessor {
  /** Ids put before a sequence. */
  readonly before: readonly number[];
  /** Ids put after a sequence. */
  readonly after: readonly number[];
}

const nothing: PostProcessor = { before: [], after: [] };
const supported = ["Sequence", "TemplateProcessing", "ByteLevel", "BertProcessing", "RobertaProcessing"];

export function readPostProcessor(field: Field): PostProcessor {
  if (field.missing) return nothing;
  const type = field.get("type");
  switch (type.value) {
    case "Sequence": {
      const steps = field.get("processors").items().map(readPostProcessor);
      return steps.reduce(
        (inner, outer) => ({
          before: [...outer.before, ...inner.before],
          after: [...inner.after, ...outer.after],
        }),
        nothing,
      );
    }
    case "ByteLevel":
      return nothing; // It moves offsets only.
    case "BertProcessing":
    case "RobertaProcessing":
      return { before: [namedId(field.get("cls"))], after: [namedId(field.get("sep"))] };
    case "TemplateProcessing":
      return readTemplate(field);
    default:
      throw type.unsupported("post-processor", supported);
  }
}

/** The id of a pair such as ["</s>", 2]. */
function namedId(field: Field): number {
  const id = field.array()[1];
  if (!isIndex(id)) throw field.wrong("a pair of token and id");
  return id;
}

function readTemplate(field: Field): PostProcessor {
  const single = field.get("single");
  const special = field.get("special_tokens");
  const before: number[] = [];
  const after: number[] = [];
  let sequences = 0;
  for (const piece of single.items()) {
    if (!piece.get("Sequence").missing) {
      sequences++;
      continue;
    }
    const name = piece.get("SpecialToken").get("id").string();
    for (const id of special.get(name).get("ids").items())
      (sequences === 0 ? before : after).push(id.index());
  }
  if (sequences !== 1) {
    throw new CheckpointError(
      `${single.where} has ${sequences} sequences; expected the sequence to stand in it once`,
    );
  }
  return { before, after };
}

/** The paper's task orders (N-LoRA, Table 7), as data. Names refer to the catalog. */
import { DataError } from "../errors.js";

export interface TaskOrder {
  readonly name: string;
  /** The model family the paper used the order with; the orders themselves suit any model. */
  readonly models: "T5" | "LLaMA";
  readonly datasets: readonly string[];
}

const FIRST = ["dbpedia", "amazon", "yahoo", "agnews"];
const SECOND = ["dbpedia", "amazon", "agnews", "yahoo"];
const THIRD = ["yahoo", "amazon", "agnews", "dbpedia"];

function words(list: string): string[] {
  return list.split(" ");
}

export const ORDERS: readonly TaskOrder[] = [
  { name: "order-1", models: "T5", datasets: FIRST },
  { name: "order-2", models: "T5", datasets: SECOND },
  { name: "order-3", models: "T5", datasets: THIRD },
  {
    name: "order-4",
    models: "T5",
    datasets: words("MNLI CB WiC COPA QQP BoolQA RTE IMDB yelp amazon SST-2 dbpedia agnews MultiRC yahoo"),
  },
  {
    name: "order-5",
    models: "T5",
    datasets: words("MultiRC BoolQA WiC MNLI CB COPA QQP RTE IMDB SST-2 dbpedia agnews yelp amazon yahoo"),
  },
  {
    name: "order-6",
    models: "T5",
    datasets: words("yelp amazon MNLI CB COPA QQP RTE IMDB SST-2 dbpedia agnews yahoo MultiRC BoolQA WiC"),
  },
  { name: "llama-1", models: "LLaMA", datasets: FIRST },
  { name: "llama-2", models: "LLaMA", datasets: SECOND },
  { name: "llama-3", models: "LLaMA", datasets: THIRD },
];

/** An order by name. Throws a DataError that lists every name there is. */
export function taskOrder(name: string): TaskOrder {
  const found = ORDERS.find((order) => order.name === name);
  if (found) return found;
  throw new DataError(
    `there is no task order named "${name}"; known orders: ${ORDERS.map((order) => order.name).join(", ")}`,
    { hint: "use one of these names, or list the datasets one by one" },
  );
}

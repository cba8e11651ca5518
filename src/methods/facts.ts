/** What each method trains and keeps, in words: for help, documents and checks that come before the engine is loaded. */
import type { MethodName } from "./options.js";

export interface MethodFacts {
  readonly title: string;
  readonly trains: string;
  /** Between tasks. */
  readonly keeps: string;
  /** Whether answering takes the task's name, beyond what the prompt says. */
  readonly needsTaskIdentity: boolean;
  /** Whether the tasks are learned one after another, or all at once. */
  readonly learns: "in-turn" | "jointly";
}

const inTurn = { needsTaskIdentity: false, learns: "in-turn" } as const;
const adapterPerTask = { trains: "a new LoRA adapter per task", ...inTurn };

const backbone = "all weights, or one LoRA adapter (backbone)";

/** One entry per method. */
export const METHOD_FACTS: Readonly<Record<MethodName, MethodFacts>> = {
  "seq-ft": { title: "SeqFT", trains: backbone, keeps: "the model", ...inTurn },
  "per-task-ft": {
    title: "PerTaskFT",
    trains: `${backbone}, of the base model, per task`,
    keeps: "every task's model or adapter",
    ...inTurn,
    needsTaskIdentity: true,
  },
  mtl: {
    title: "MTL",
    trains: `${backbone}, on all tasks at once`,
    keeps: "nothing",
    ...inTurn,
    learns: "jointly",
  },
  replay: {
    title: "Replay",
    trains: backbone,
    keeps: "the model, and training rows as text",
    ...inTurn,
  },
  ewc: {
    title: "EWC",
    trains: backbone,
    keeps: "the model, and the Fisher information of its weights",
    ...inTurn,
  },
  lwf: { title: "LwF", trains: backbone, keeps: "the model, the teacher of the next task", ...inTurn },
  l2p: { title: "L2P", trains: "a pool of soft prompts and their keys", keeps: "the pool", ...inTurn },
  lfpt5: {
    title: "LFPT5",
    trains: "one soft prompt, and a token per task",
    keeps: "the prompt, tokens and labels of the tasks",
    ...inTurn,
  },
  "prog-prompt": {
    title: "ProgPrompt",
    trains: "a new soft prompt per task",
    keeps: "all prompts",
    ...inTurn,
    needsTaskIdentity: true,
  },
  "seq-lora": { title: "SeqLoRA", trains: "one LoRA adapter", keeps: "that adapter", ...inTurn },
  "inc-lora": { title: "IncLoRA", keeps: "all adapters", ...adapterPerTask },
  "o-lora": { title: "O-LoRA", keeps: "all adapters", ...adapterPerTask },
  "n-lora": { title: "N-LoRA", keeps: "all adapters", ...adapterPerTask },
  "prox-lora": { title: "Prox-LoRA", keeps: "all adapters", ...adapterPerTask },
  "mask-lora": { title: "Mask-LoRA", keeps: "all adapters", ...adapterPerTask },
  "null-space-lora": {
    title: "Null-Space-LoRA",
    ...adapterPerTask,
    keeps: "all adapters, and the directions of earlier tasks' layer inputs",
  },
  "norm-matched-lora": { title: "IncLoRA, norms matched", keeps: "all adapters", ...adapterPerTask },
  "random-support-lora": { title: "IncLoRA, random support", keeps: "all adapters", ...adapterPerTask },
  "o-lora-n-lora": { title: "O-LoRA + N-LoRA", keeps: "all adapters", ...adapterPerTask },
};

/** Whether a method opens a new LoRA adapter for every task. */
export const opensAdapters = (name: MethodName): boolean =>
  METHOD_FACTS[name].trains === adapterPerTask.trains;

/** IncLoRA: a new adapter per task, earlier ones frozen, no regulariser. The no-penalty twin of N-LoRA and O-LoRA. */
import { ADAPTER_PER_TASK, incrementalMethod } from "./incremental.js";
import { defineMethod } from "./method.js";

export const incLora = defineMethod({
  name: "inc-lora",
  title: "IncLoRA",
  ...ADAPTER_PER_TASK,
  options: {},
  create: (setup) => incrementalMethod(setup, { penaltyRecord: { kind: "none" } }),
});

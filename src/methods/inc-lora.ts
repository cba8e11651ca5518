/** IncLoRA: a new adapter per task, earlier ones frozen, no regulariser. The no-penalty twin of N-LoRA and O-LoRA. */
import { incrementalMethod } from "./incremental.js";
import { defineMethod } from "./method.js";

export const incLora = defineMethod({
  name: "inc-lora",
  create: (setup) => incrementalMethod(setup, { penaltyRecord: { kind: "none" } }),
});

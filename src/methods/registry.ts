/** One line per method; the names and options are those of options.ts. */

import { ewc } from "./ewc.js";
import { incLora } from "./inc-lora.js";
import { l2p } from "./l2p.js";
import { lfpt5 } from "./lfpt5.js";
import { lwf } from "./lwf.js";
import { maskLora } from "./mask-lora.js";
import { type ActiveMethod, type Method, type MethodSetup, withDefaults } from "./method.js";
import { mtl } from "./mtl.js";
import { nLora } from "./n-lora.js";
import { normMatchedLora } from "./norm-matched-lora.js";
import { nullSpaceLora } from "./null-space-lora.js";
import { oLora } from "./o-lora.js";
import { oLoraNLora } from "./o-lora-n-lora.js";
import type { MethodName } from "./options.js";
import { perTaskFt } from "./per-task-ft.js";
import { progPrompt } from "./prog-prompt.js";
import { proxLora } from "./prox-lora.js";
import { randomSupportLora } from "./random-support-lora.js";
import { replay } from "./replay.js";
import { seqFt } from "./seq-ft.js";
import { seqLora } from "./seq-lora.js";

export const METHODS: { readonly [Name in MethodName]: Method<Name> } = {
  "seq-ft": seqFt,
  "per-task-ft": perTaskFt,
  mtl,
  replay,
  ewc,
  lwf,
  l2p,
  lfpt5,
  "prog-prompt": progPrompt,
  "seq-lora": seqLora,
  "inc-lora": incLora,
  "o-lora": oLora,
  "n-lora": nLora,
  "o-lora-n-lora": oLoraNLora,
  "prox-lora": proxLora,
  "mask-lora": maskLora,
  "null-space-lora": nullSpaceLora,
  "norm-matched-lora": normMatchedLora,
  "random-support-lora": randomSupportLora,
};

/** Starts the method that the options name. */
export function createMethod(setup: MethodSetup<MethodName>): ActiveMethod {
  const method = METHODS[setup.options.name] as Method;
  return withDefaults(method.create(setup));
}

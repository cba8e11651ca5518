/** What a process and its engine process say to each other. */
import type { ReportedError } from "../errors.js";
import type { Engine, EngineInfo, EngineOptions } from "./engine.js";
import type { ModelSource } from "./model-source.js";
import type { GenerationEvent, GenerationRequest } from "./request.js";

export type ToEngine =
  | { readonly type: "open"; readonly source: ModelSource; readonly options: EngineOptions }
  | { readonly type: "submit"; readonly request: GenerationRequest }
  | { readonly type: "cancel"; readonly id: string }
  | { readonly type: "close" };

export type FromEngine =
  | { readonly type: "ready"; readonly info: EngineInfo }
  /** It could not be opened. */
  | { readonly type: "failed"; readonly error: ReportedError }
  | {
      readonly type: "event";
      readonly id: string;
      readonly event: GenerationEvent;
      readonly load: Engine["load"];
    };

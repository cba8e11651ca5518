/** The engine in a process of its own, so that computing never holds up whoever serves the requests. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type ReportedError, ReportedFailure } from "../errors.js";
import { workerEnvironment } from "../runs/launch.js";
import type { Engine, EngineInfo, EngineOptions } from "./engine.js";
import type { FromEngine, ToEngine } from "./engine-protocol.js";
import type { ModelSource } from "./model-source.js";
import type { GenerationEvent, GenerationRequest } from "./request.js";

const WORKER = fileURLToPath(new URL("./engine-worker.js", import.meta.url));

/** How long the process may take to finish its step when it is closed, before it is killed. */
const CLOSE_MILLISECONDS = 5000;

export class EngineProcess implements Engine {
  readonly info: EngineInfo;
  readonly failed: Promise<ReportedError>;
  readonly #child: ChildProcess;
  readonly #listeners = new Map<string, (event: GenerationEvent) => void>();
  #load: Engine["load"] = { waiting: 0, running: 0 };
  #closing = false;
  #death: ReportedError | null = null;

  private constructor(child: ChildProcess, info: EngineInfo) {
    this.#child = child;
    this.info = info;
    child.on("message", (message: FromEngine) => {
      if (message.type !== "event") return;
      this.#load = message.load;
      this.#listeners.get(message.id)?.(message.event);
    });
    this.failed = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        const error = describe(code, signal);
        this.#death = error;
        for (const say of this.#listeners.values()) say({ type: "failed", error });
        this.#listeners.clear();
        if (!this.#closing) resolve(error);
      });
    });
  }

  /** Starts the process and waits until the model is loaded. Throws an EngineError with its words when it cannot be. */
  static open(source: ModelSource, options: EngineOptions): Promise<EngineProcess> {
    const child = fork(WORKER, {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      env: workerEnvironment(options, process.env),
      execArgv: [],
      serialization: "advanced",
    });
    tell(child, { type: "open", source, options });
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null, signal: NodeJS.Signals | null) =>
        reject(new ReportedFailure(describe(code, signal)));
      child.once("error", reject);
      child.once("exit", onExit);
      child.once("message", (message: FromEngine) => {
        child.off("exit", onExit);
        if (message.type === "ready") {
          resolve(new EngineProcess(child, message.info));
          return;
        }
        child.kill("SIGKILL");
        if (message.type === "failed") reject(new ReportedFailure(message.error));
      });
    });
  }

  get load(): Engine["load"] {
    return this.#load;
  }

  submit(request: GenerationRequest, say: (event: GenerationEvent) => void): () => void {
    const { id } = request;
    if (this.#death) {
      say({ type: "failed", error: this.#death });
      return () => {};
    }
    let open = request.choices;
    this.#listeners.set(id, (event) => {
      open = event.type === "failed" ? 0 : event.type === "end" ? open - 1 : open;
      if (open === 0) this.#listeners.delete(id);
      say(event);
    });
    tell(this.#child, { type: "submit", request });
    return () => {
      if (!this.#listeners.delete(id)) return;
      tell(this.#child, { type: "cancel", id });
    };
  }

  async close(): Promise<void> {
    if (this.#death || this.#closing) return;
    this.#closing = true;
    const ended = new Promise<void>((resolve) => this.#child.once("exit", () => resolve()));
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), CLOSE_MILLISECONDS);
    tell(this.#child, { type: "close" });
    await ended;
    clearTimeout(timer);
  }
}

function tell(child: ChildProcess, message: ToEngine): void {
  // A process that is gone cannot be told anything; its end is reported by "exit".
  if (child.connected) child.send(message, () => {});
}

function describe(code: number | null, signal: NodeJS.Signals | null): ReportedError {
  return {
    message: `the engine process ${signal === null ? `ended with exit code ${code}` : `was killed by ${signal}`}`,
    code: "engine",
    ...(signal === "SIGKILL" && {
      hint: "if nobody killed it, memory ran out: allow fewer tokens (--max-tokens), or take a smaller model",
    }),
  };
}

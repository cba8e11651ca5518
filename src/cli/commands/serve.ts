/** `nlora serve`: answers over HTTP until it is interrupted. The model is in a process of its own. */
import { readFileSync } from "node:fs";
import { UsageError } from "../../errors.js";
import { EngineProcess } from "../../inference/engine-process.js";
import { findSource } from "../../inference/model-source.js";
import { Prompts } from "../../inference/prompts.js";
import { checkAccess } from "../../serve/access.js";
import { type RunningServer, startServer } from "../../serve/server.js";
import { showingDownloads } from "../downloads.js";
import { EXIT, type ExitCode, errorText } from "../exit.js";
import type { ModelOptions } from "../generate-session.js";

export interface ServeOptions extends ModelOptions {
  readonly host: string;
  readonly port: number;
  readonly tokenFile?: string;
  readonly batch: number;
  readonly maxTokens: number;
  readonly maxNewTokens: number;
  readonly maxWaiting: number;
  readonly maxBody: number;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** Prompt tokens that are run between two steps of the answers being written. */
const PROMPT_TOKENS = 1024;

export async function serve(model: string, options: ServeOptions): Promise<ExitCode> {
  const { host, port, dtype, device, threads = null, batch, maxTokens, maxWaiting } = options;
  const access = { host, token: tokenOf(options) };
  // Before the model is loaded, which takes long.
  checkAccess(access);
  const source = await showingDownloads({}, (hub) => findSource(model, { adapters: options.adapter, hub }));
  const say = (line: string) => process.stderr.write(`${line}\n`);
  for (const note of source.notes) say(`note: ${note}`);
  const limits = { maxRows: batch, maxTokens, maxWaiting, maxPromptTokens: PROMPT_TOKENS };
  const stopped = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of SIGNALS) process.once(signal, resolve);
  });
  const opening = EngineProcess.open(source, { dtype, device, threads, limits });
  const engine = await Promise.race([opening, stopped]);
  if (typeof engine === "string") {
    await opening.then((opened) => opened.close());
    return EXIT.interrupted;
  }
  let server: RunningServer;
  try {
    const prompts = new Prompts(source.folder, engine.info);
    const { maxNewTokens, maxBody } = options;
    server = await startServer({ access, port, engine, source, prompts, maxNewTokens, maxBody });
  } catch (error) {
    await engine.close();
    throw error;
  }
  say(`${source.states.map(({ id }) => id).join(", ")} in ${engine.info.dtype} at ${server.url}`);
  const reason = await Promise.race([stopped, engine.failed]);
  if (typeof reason === "string") {
    say("closing after the requests under way; once more to close at once");
    const again = () => void server.close(0);
    for (const signal of SIGNALS) process.once(signal, again);
    await server.close();
    return EXIT.done;
  }
  process.stderr.write(errorText(reason));
  await server.close(0);
  return EXIT.failed;
}

/** Not an option of its own: the arguments of a process can be read by all users of the machine. */
function tokenOf({ tokenFile }: ServeOptions): string | null {
  const fromEnvironment = process.env.NLORA_TOKEN;
  if (tokenFile === undefined)
    return fromEnvironment === undefined || fromEnvironment === "" ? null : fromEnvironment;
  try {
    return readFileSync(tokenFile, "utf8").trim();
  } catch (error) {
    throw new UsageError(`--token-file ${tokenFile}: ${(error as Error).message}`, { cause: error });
  }
}

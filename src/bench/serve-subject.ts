/** A server to measure: `serve-subject.js <model folder> <threads> <process|in-process>`; prints its address. */

import { LocalEngine } from "../inference/engine.js";
import { EngineProcess } from "../inference/engine-process.js";
import { findSource } from "../inference/model-source.js";
import { Prompts } from "../inference/prompts.js";
import { startServer } from "../serve/server.js";

const [folder, threads, place] = process.argv.slice(2) as [string, string, string];
const source = await findSource(folder);
const limits = { maxRows: 8, maxTokens: 16_384, maxWaiting: 64, maxPromptTokens: 1024 };
const options = { dtype: "float32", device: "cpu", threads: Number(threads), limits } as const;
const engine =
  place === "process" ? await EngineProcess.open(source, options) : LocalEngine.open(source, options);
const server = await startServer({
  access: { host: "127.0.0.1", token: null },
  port: 0,
  engine,
  source,
  prompts: new Prompts(source.folder, engine.info),
  maxNewTokens: 1024,
  maxBody: 2 ** 20,
});
process.once("SIGTERM", () => void server.close(0).then(() => process.exit(0)));
console.log(server.url);

/**
 * `npm run bench -- --part serve`: tokens a second that the server writes for one client at a time and for eight at once, in
 * turn, and how long it takes to answer GET /health meanwhile, with the engine in a process of its own and in the server's.
 */
import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { packageRoot } from "../tensor/native.js";
import { writeRandomCheckpoint } from "./random-checkpoint.js";

const CLIENTS = 8;
const REQUESTS = 16;
const NEW_TOKENS = 32;
const HEALTH_MILLISECONDS = 10;

const MODELS = {
  "t5-small": {
    ...{
      model_type: "t5",
      vocab_size: 32128,
      d_model: 512,
      d_ff: 2048,
      num_layers: 6,
      num_heads: 8,
      d_kv: 64,
    },
    ...{ eos_token_id: 1, pad_token_id: 0, decoder_start_token_id: 0 },
  },
  "llama-125m": {
    ...{
      model_type: "llama",
      vocab_size: 32000,
      hidden_size: 768,
      num_hidden_layers: 12,
      num_attention_heads: 12,
    },
    ...{ num_key_value_heads: 4, intermediate_size: 2048, eos_token_id: 2, max_position_embeddings: 2048 },
  },
};

interface Server {
  readonly url: string;
  stop(): Promise<void>;
}

async function startSubject(folder: string, threads: number, place: string): Promise<Server> {
  const child = spawn(
    process.execPath,
    [join(packageRoot, "dist/bench/serve-subject.js"), folder, String(threads), place],
    { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, OMP_NUM_THREADS: String(threads) } },
  );
  for await (const url of createInterface({ input: child.stdout })) {
    return {
      url,
      async stop() {
        const ended = new Promise((resolve) => child.once("close", resolve));
        child.kill("SIGTERM");
        await ended;
      },
    };
  }
  throw new Error("the server to measure did not start");
}

/** Answers so many requests with so many clients; returns tokens and seconds. */
async function load(
  url: string,
  model: string,
  clients: number,
): Promise<{ tokens: number; seconds: number }> {
  let next = 0;
  let tokens = 0;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (next < REQUESTS) {
        const prompt = `Request ${next++}: ${"the quick brown fox jumps over the lazy dog ".repeat(4)}`;
        const response = await fetch(`${url}/v1/completions`, {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ model, prompt, max_tokens: NEW_TOKENS, temperature: 0 }),
        });
        if (!response.ok) throw new Error(await response.text());
        const { usage } = (await response.json()) as { usage: { completion_tokens: number } };
        tokens += usage.completion_tokens;
      }
    }),
  );
  return { tokens, seconds: (performance.now() - started) / 1000 };
}

/** Milliseconds of GET /health, asked again and again until `busy` is over. */
async function healthTimes(url: string, busy: Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  let over = false;
  const end = busy.finally(() => {
    over = true;
  });
  while (!over) {
    const started = performance.now();
    await (await fetch(`${url}/health`)).text();
    times.push(performance.now() - started);
    await new Promise((resolve) => setTimeout(resolve, HEALTH_MILLISECONDS));
  }
  await end;
  return times.sort((a, b) => a - b);
}

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;

export async function measureServing(threads: number, rounds: number): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "nlora-bench-"));
  try {
    console.log(
      `${REQUESTS} requests of about 50 prompt tokens and up to ${NEW_TOKENS} new ones, float32, ${threads} threads; ${rounds} rounds, medians\n`,
    );
    console.log(
      "model       engine      tokens/s: one client  eight at once  ratio   /health ms: p50    p95    max",
    );
    for (const [name, config] of Object.entries(MODELS)) {
      const folder = join(root, name);
      writeRandomCheckpoint(folder, config, "float32");
      copyFileSync(join(packageRoot, "assets/t5-mini/tokenizer.json"), join(folder, "tokenizer.json"));
      for (const place of ["process", "in-process"]) {
        const server = await startSubject(folder, threads, place);
        const one: number[] = [];
        const many: number[] = [];
        const health: number[] = [];
        await load(server.url, basename(folder), CLIENTS);
        for (let round = 0; round < rounds; round++) {
          const alone = await load(server.url, basename(folder), 1);
          one.push(alone.tokens / alone.seconds);
          const busy = load(server.url, basename(folder), CLIENTS);
          health.push(...(await healthTimes(server.url, busy)));
          const together = await busy;
          many.push(together.tokens / together.seconds);
        }
        await server.stop();
        for (const values of [one, many, health]) values.sort((a, b) => a - b);
        const [slow, fast] = [quantile(one, 0.5), quantile(many, 0.5)];
        const milliseconds = [quantile(health, 0.5), quantile(health, 0.95), health.at(-1)!];
        console.log(
          `${name.padEnd(10)}  ${place.padEnd(10)}  ${slow.toFixed(1).padStart(20)}  ${fast.toFixed(1).padStart(13)}  ` +
            `${(fast / slow).toFixed(2).padStart(5)}  ${milliseconds
              .map((each) => each.toFixed(1))
              .map((each, i) => each.padStart(i === 0 ? 16 : 5))
              .join("  ")}`,
        );
      }
      rmSync(folder, { recursive: true });
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

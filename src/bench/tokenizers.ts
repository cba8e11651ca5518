/**
 * `npm run bench -- --part tokenizers`: megabytes of UTF-8 that one core encodes in a second, per family of tokenizers: on
 * the shared folder's real tokenizers and benchmark where they are, else on the bundled model's and the demo's text.
 * Texts are encoded once each, as in training; the first pass, which compiles the code, is not counted. By processor time (of
 * all the process's threads), so that other work on the machine hardly counts.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { syntheticStream } from "../data/synthetic.js";
import { builtinModel } from "../hub/resolve.js";
import { Tokenizer } from "../io/tokenizer/tokenizer.js";
import { packageRoot } from "../tensor/native.js";

const BYTES = 4_000_000;

export function measureTokenizers(rounds: number): void {
  const shared = process.env.NLORA_SHARED ?? resolve(packageRoot, "../shared");
  const texts = textsOf(shared);
  const megabytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6;
  console.log(
    `${texts.length} texts, ${megabytes.toFixed(2)} MB; median and range of ${rounds} rounds, by processor time\n`,
  );
  console.log(`${"tokenizer".padEnd(24)} ${"MB/s".padStart(18)}  million tokens/s   load`);
  for (const [name, folder] of foldersOf(shared)) {
    const loading = performance.now();
    Tokenizer.fromFolder(folder);
    const load = (performance.now() - loading) / 1000;
    const speeds: number[] = [];
    let tokens = 0;
    for (let round = 0; round <= rounds; round++) {
      // A tokenizer remembers words; each round begins without any.
      const tokenizer = Tokenizer.fromFolder(folder);
      const start = process.cpuUsage();
      tokens = 0;
      for (const text of texts) tokens += tokenizer.encode(text).length;
      const { user, system } = process.cpuUsage(start);
      if (round > 0) speeds.push((megabytes * 1e6) / (user + system));
    }
    speeds.sort((a, b) => a - b);
    const median = speeds[speeds.length >> 1]!;
    const range = `${median.toFixed(2)} (${speeds[0]!.toFixed(2)}-${speeds.at(-1)!.toFixed(2)})`;
    const millions = ((tokens / megabytes) * median) / 1e6;
    console.log(
      `${name.padEnd(24)} ${range.padStart(18)}  ${millions.toFixed(2).padStart(16)}   ${load.toFixed(2)} s`,
    );
  }
}

function foldersOf(shared: string): [name: string, folder: string][] {
  const real = join(shared, "data/tokenizers");
  const names = existsSync(real) ? readdirSync(real).filter((name) => !name.includes(".")) : [];
  return [
    ["t5-mini (bundled)", builtinModel()],
    ...names.map((name): [string, string] => [name, join(real, name)]),
  ];
}

/** Sentences of the benchmark, evenly from its files, or what the demo makes. */
function textsOf(shared: string): string[] {
  const root = join(shared, "data/cl-benchmark");
  if (!existsSync(root)) {
    const { tasks } = syntheticStream({ seed: 1, trainRows: 5000, testRows: 1 });
    return tasks.flatMap((task) => task.train.map(({ input }) => input));
  }
  const files = readdirSync(root, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith("train.json"))
    .sort();
  const share = BYTES / files.length;
  return files.flatMap((name) => {
    const rows = JSON.parse(readFileSync(join(root, name), "utf8")) as { readonly sentence: string }[];
    const chosen: string[] = [];
    for (let size = 0, row = 0; size < share && row < rows.length; row++) {
      chosen.push(rows[row]!.sentence);
      size += Buffer.byteLength(rows[row]!.sentence);
    }
    return chosen;
  });
}

// Writes src/tensor/methods.gen.ts and functions.gen.ts from the schemas of the built engine.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** The generator and the list, transpiled alone: the rest of the project may not compile before they have run. */
async function load(name) {
  const source = readFileSync(join(root, "src/tensor", `${name}.ts`), "utf8");
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { module: "ESNext", target: "ES2022" },
  });
  const file = join(root, "build/generate", `${name}.mjs`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, outputText);
  return import(pathToFileURL(file).href);
}

const { generate } = await load("generate-ops");
const { OPERATORS } = await load("op-list");
const engine = createRequire(import.meta.url)(join(root, "build/engine/nlora.node"));
const schemas = [...engine.schemas("aten::"), ...engine.schemas("nlora::")];
const own = engine
  .schemas("nlora::")
  .map((text) => text.slice(0, text.indexOf("(")))
  .sort();
const { methods, functions } = generate([...OPERATORS, ...own], schemas, engine.systemInfo().version);
writeFileSync(join(root, "src/tensor/methods.gen.ts"), methods);
writeFileSync(join(root, "src/tensor/functions.gen.ts"), functions);
console.log(`${OPERATORS.length} operators of libtorch and ${own.length} of our own`);

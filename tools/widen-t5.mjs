// Writes a T5 checkpoint (classic, tied head) K times as wide that computes the same function, so that a strength found at
// one width can be tried at another (after `npm run build`):
//   node tools/widen-t5.mjs CHECKPOINT OUT K
// Every hidden feature, head and feed-forward unit is there K times; a layer sums K equal inputs, so its weights are 1/K.
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Checkpoint, tidy, writeSafetensors } from "../dist/index.js";

const [from, out, factor] = process.argv.slice(2);
const k = Number(factor);
const config = JSON.parse(readFileSync(join(from, "config.json"), "utf8"));
if (!(k >= 2) || config.tie_word_embeddings === false || config.is_gated_act === true) {
  throw new Error("expected CHECKPOINT OUT K: a classic T5 with a tied head, and a K of at least 2");
}
mkdirSync(out, { recursive: true });
for (const name of readdirSync(from)) {
  if (!/safetensors/.test(name)) cpSync(join(from, name), join(out, name));
}
const wide = { ...config, torch_dtype: "float32" };
for (const key of ["d_model", "d_ff", "num_heads"]) wide[key] = k * config[key];
writeFileSync(join(out, "config.json"), `${JSON.stringify(wide, null, 2)}\n`);

function widened(name, weight) {
  if (/shared|relative_attention_bias/.test(name)) return weight.repeat([1, k]);
  // The tied head scales its input by d_model^-1/2, and sums K equal products.
  if (name === "decoder.final_layer_norm.weight") return weight.repeat([k]).mul(1 / Math.sqrt(k));
  if (/layer_norm/.test(name)) return weight.repeat([k]);
  return weight.repeat([k, k]).mul(1 / k);
}

tidy(() => {
  const checkpoint = Checkpoint.open(from);
  const names = [...checkpoint.names].sort();
  const tensors = names.map((name) => [name, widened(name, checkpoint.tensor(name).toDtype("float32"))]);
  writeSafetensors(join(out, "model.safetensors"), tensors);
});

/** Entry point of the engine process (started by engine-process.ts): a local engine that speaks over the channel. */
import { reported } from "../errors.js";
import { preferToBeKilled } from "../runs/worker-loop.js";
import type { LocalEngine } from "./engine.js";
import type { FromEngine, ToEngine } from "./engine-protocol.js";

let engine: LocalEngine | undefined;
const cancels = new Map<string, () => void>();

preferToBeKilled();
// A Ctrl+C reaches the whole group; the parent decides when to end, and ending closes the channel.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
process.on("disconnect", () => process.exit(0));
process.on("message", (message: ToEngine) => {
  switch (message.type) {
    case "open":
      void open(message);
      break;
    case "submit":
      submit(message);
      break;
    case "cancel":
      cancels.get(message.id)?.();
      cancels.delete(message.id);
      break;
    case "close":
      void engine?.close().finally(() => process.exit(0));
      break;
  }
});

function say(message: FromEngine): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

async function open({ source, options }: Extract<ToEngine, { type: "open" }>): Promise<void> {
  try {
    const { LocalEngine } = await import("./engine.js");
    engine = LocalEngine.open(source, options);
    say({ type: "ready", info: engine.info });
  } catch (error) {
    say({ type: "failed", error: reported(error) });
  }
}

function submit({ request }: Extract<ToEngine, { type: "submit" }>): void {
  const { id } = request;
  let open = request.choices;
  const cancel = engine!.submit(request, (event) => {
    open = event.type === "failed" ? 0 : event.type === "end" ? open - 1 : open;
    if (open === 0) cancels.delete(id);
    say({ type: "event", id, event, load: engine!.load });
  });
  if (open > 0) cancels.set(id, cancel);
}

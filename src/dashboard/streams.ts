/** Server-sent events: the list of runs and one run, whenever they have changed. */
import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import type { RunList, RunUpdate } from "./pages/wire.js";
import type { Liveness, RunView } from "./run-view.js";

/** How often is looked; little enough that training does not notice (docs/dashboard.md). */
const RUN_MILLISECONDS = 1000;
const LIST_MILLISECONDS = 2000;
/** A comment after so much silence tells both sides that the other is there. */
const HEARTBEAT_MILLISECONDS = 15_000;
const MOST_NEW_POINTS = 200;

/** Calls `look` until the reader leaves or the server closes, then once more, and writes what it returns. */
function follow(context: Context, milliseconds: number, closing: AbortSignal, look: () => unknown): Response {
  context.header("X-Accel-Buffering", "no");
  return streamSSE(context, async (stream) => {
    let wake = () => {};
    stream.onAbort(() => wake());
    closing.addEventListener("abort", () => wake(), { once: true });
    let last = performance.now();
    while (!stream.aborted) {
      const isLast = closing.aborted;
      const message = look();
      const isSilent = performance.now() - last > HEARTBEAT_MILLISECONDS;
      if (message !== undefined) await stream.writeSSE({ data: JSON.stringify(message) });
      else if (isSilent) await stream.write(": nothing new\n\n");
      if (message !== undefined || isSilent) last = performance.now();
      if (isLast) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, milliseconds);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  });
}

export function followList(context: Context, list: () => RunList, closing: AbortSignal): Response {
  let sent = "";
  return follow(context, LIST_MILLISECONDS, closing, () => {
    const now = list();
    const text = JSON.stringify(now);
    if (text === sent) return undefined;
    sent = text;
    return now;
  });
}

/** First the whole run, then what is new of it. Ends when the run is there no more. */
export function followRun(
  context: Context,
  find: () => RunView | undefined,
  livenessOf: (view: RunView) => Liveness,
  { points, closing }: { readonly points: number; readonly closing: AbortSignal },
): Response {
  let sent = "";
  let step = 0;
  let revision = -1;
  let shown: RunView | undefined;
  return follow(context, RUN_MILLISECONDS, closing, (): RunUpdate | undefined => {
    const view = find();
    if (!view) return undefined;
    const detail = view.detail(livenessOf(view));
    const isWhole = view !== shown || view.revision !== revision;
    const isNew = view.lastStep > step;
    const text = JSON.stringify(detail);
    if (!isWhole && !isNew && text === sent) return undefined;
    const range = { from: step + 1, to: Number.POSITIVE_INFINITY };
    const curves = isWhole
      ? view.history({ points })
      : isNew
        ? view.history({ points: MOST_NEW_POINTS, range })
        : null;
    sent = text;
    step = view.lastStep;
    revision = view.revision;
    shown = view;
    return { detail, curves, isWhole };
  });
}

/** Shows on stderr what a command fetches from the hub. */
import type { HubOptions } from "../hub/snapshot.js";
import { createView, type ViewOptions } from "./terminal.js";

/** Runs `action` with options for `resolveModel` and the like that report to the terminal. */
export async function showingDownloads<T>(
  options: ViewOptions,
  action: (hub: HubOptions) => Promise<T>,
): Promise<T> {
  const view = createView(options);
  try {
    return await action({ onProgress: (progress) => view.event({ type: "download", ...progress }, 0) });
  } finally {
    view.close();
  }
}

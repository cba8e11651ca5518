/** `nlora download`: a model, an adapter or a dataset from the hub into its cache; prints the folder. */
import { showingDownloads } from "../downloads.js";
import { EXIT, type ExitCode } from "../exit.js";

export interface DownloadOptions {
  readonly dataset?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

export async function download(reference: string, options: DownloadOptions): Promise<ExitCode> {
  const { resolveDataset, resolveModel } = await import("../../hub/resolve.js");
  const resolve = options.dataset ? resolveDataset : resolveModel;
  const folder = await showingDownloads(options, (hub) => resolve(reference, hub));
  process.stdout.write(options.json ? `${JSON.stringify({ type: "downloaded", folder })}\n` : `${folder}\n`);
  return EXIT.done;
}

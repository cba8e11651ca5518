/** The dashboard's server: listens until it is closed; open pages are told how things stand before that. */
import { listen } from "../http/listen.js";
import { newToken } from "./access.js";
import { createDashboard } from "./app.js";
import type { RunCatalog } from "./catalog.js";
import type { RunControl } from "./run-control.js";

export interface DashboardSetup {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  readonly catalog: RunCatalog;
  readonly control: RunControl;
}

export interface RunningDashboard {
  /** With the token: whoever has it may use the dashboard. */
  readonly address: string;
  close(): Promise<void>;
}

const GRACE_MILLISECONDS = 1000;

/** Throws a UsageError when it cannot listen, a RunError when the pages are not built. */
export async function startDashboard({
  host,
  port,
  catalog,
  control,
}: DashboardSetup): Promise<RunningDashboard> {
  const token = newToken();
  const closing = new AbortController();
  const app = createDashboard({ host, token, catalog, control, closing: closing.signal });
  const listening = await listen(app, host, port);
  return {
    address: `${listening.url}/?token=${token}`,
    async close() {
      closing.abort();
      await listening.close(GRACE_MILLISECONDS);
    },
  };
}

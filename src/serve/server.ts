/** The server of an engine: listens until it is closed, and closes the engine with it. */
import { listen } from "../http/listen.js";
import { checkAccess } from "./access.js";
import { type AppOptions, createApp } from "./app.js";

export interface ServerOptions extends Omit<AppOptions, "isClosing"> {
  /** 0: a free one. */
  readonly port: number;
}

export interface RunningServer {
  readonly url: string;
  /**
   * Takes no more requests, waits for those under way (at most so long), then ends what is left and the engine. May be
   * called again with less patience.
   */
  close(graceMilliseconds?: number): Promise<void>;
}

const GRACE_MILLISECONDS = 10_000;

/** Starts to listen. The engine is closed with the server. Throws a UsageError when that is not safe or not possible. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { access, port, engine } = options;
  checkAccess(access);
  let closing = false;
  const app = createApp({ ...options, isClosing: () => closing });
  const listening = await listen(app, access.host, port);
  let closed: Promise<void> | null = null;
  return {
    url: listening.url,
    close(grace = GRACE_MILLISECONDS) {
      closing = true;
      const ended = listening.close(grace);
      closed ??= ended.then(() => engine.close());
      return closed;
    },
  };
}

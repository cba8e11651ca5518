/** Listens for requests until it is closed; closing lets those under way finish, for a while. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { UsageError } from "../errors.js";
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
  const server = await new Promise<Server>((resolve, reject) => {
    const made = serve(
      { fetch: app.fetch, hostname: access.host, port, createServer, overrideGlobalObjects: false },
      () => resolve(made),
    ) as Server;
    made.once("error", (error) =>
      reject(
        new UsageError(`cannot listen on ${access.host}:${port}: ${error.message}`, {
          hint: "choose another --port or --host",
          cause: error,
        }),
      ),
    );
  });
  const { port: bound } = server.address() as AddressInfo;
  const name = access.host.includes(":") ? `[${access.host.replace(/^\[|\]$/g, "")}]` : access.host;
  let closed: Promise<void> | null = null;
  return {
    url: `http://${name}:${bound}`,
    close(grace = GRACE_MILLISECONDS) {
      closing = true;
      closed ??= (async () => {
        const ended = new Promise((resolve) => server.close(resolve));
        const idle = setInterval(() => server.closeIdleConnections(), 50);
        await ended;
        clearInterval(idle);
        await engine.close();
      })();
      const timer = setTimeout(() => server.closeAllConnections(), grace);
      return closed.finally(() => clearTimeout(timer));
    },
  };
}

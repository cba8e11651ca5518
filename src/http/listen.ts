/** Listens for requests until it is closed; closing lets those under way finish, for a while. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import type { Hono } from "hono";
import { UsageError } from "../errors.js";

export interface Listening {
  readonly url: string;
  /** Takes no more connections, waits for requests under way, at most so long. May be called again with less patience. */
  close(graceMilliseconds: number): Promise<void>;
}

/** Starts to listen; port 0 is a free one. Throws a UsageError when that is not possible. */
export async function listen(app: Hono, host: string, port: number): Promise<Listening> {
  const server = await new Promise<Server>((resolve, reject) => {
    const made = serve(
      { fetch: app.fetch, hostname: host, port, createServer, overrideGlobalObjects: false },
      () => resolve(made),
    ) as Server;
    made.once("error", (error) =>
      reject(
        new UsageError(`cannot listen on ${host}:${port}: ${error.message}`, {
          hint: "choose another --port or --host",
          cause: error,
        }),
      ),
    );
  });
  const { port: bound } = server.address() as AddressInfo;
  const name = host.includes(":") ? `[${host.replace(/^\[|\]$/g, "")}]` : host;
  let ended: Promise<void> | null = null;
  return {
    url: `http://${name}:${bound}`,
    close(grace) {
      ended ??= (async () => {
        const closed = new Promise((resolve) => server.close(resolve));
        const idle = setInterval(() => server.closeIdleConnections(), 50);
        await closed;
        clearInterval(idle);
      })();
      const timer = setTimeout(() => server.closeAllConnections(), grace);
      return ended.finally(() => clearTimeout(timer));
    },
  };
}

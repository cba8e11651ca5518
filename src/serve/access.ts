/**
 * Who may ask. A server on this machine's own address is still reachable by web pages in a browser here, directly or by a
 * name of theirs that resolves to it (DNS rebinding): so the Host and Origin headers must name this machine.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { UsageError } from "../errors.js";
import { ApiError } from "./api-error.js";

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

export interface Access {
  /** The address that is listened on. */
  readonly host: string;
  /** What requests must carry as `Authorization: Bearer ...`; null: nothing. */
  readonly token: string | null;
}

export const isLoopback = (host: string): boolean => LOOPBACK.includes(host) || host === "::1";

/** Throws a UsageError unless it is safe to listen: other machines need a token. */
export function checkAccess({ host, token }: Access): void {
  if (token !== null && !/^[\x21-\x7e]{16,}$/.test(token)) {
    throw new UsageError("the token: expected at least 16 printable characters without blanks", {
      hint: "make one with: openssl rand -hex 32",
    });
  }
  if (token === null && !isLoopback(host)) {
    throw new UsageError(`--host ${host} lets other machines in, which needs a token`, {
      hint: "set NLORA_TOKEN or --token-file, or listen on 127.0.0.1",
    });
  }
}

/** Lets requests of this machine's users in; with a token, those that carry it. */
export function guard({ host, token }: Access): MiddlewareHandler {
  const expected = token === null ? null : digest(`Bearer ${token}`);
  const local = isLoopback(host);
  return async (context, next) => {
    // With other machines about, names are theirs to choose and the token protects.
    if (local && !isThisMachine(context.req.header("host"))) {
      throw new ApiError(403, "the Host header does not name this machine; expected localhost or 127.0.0.1");
    }
    const origin = context.req.header("origin");
    if (local && origin !== undefined && !isThisMachine(/^https?:\/\/([^/]+)$/.exec(origin)?.[1])) {
      throw new ApiError(403, "requests from web pages of other sites are not answered");
    }
    if (expected !== null && context.req.path !== "/health") {
      const given = context.req.header("authorization");
      // Digests have one length, so the comparison's time tells nothing about the token.
      if (given === undefined || !timingSafeEqual(digest(given), expected)) {
        context.header("WWW-Authenticate", "Bearer");
        throw new ApiError(401, "expected the header Authorization: Bearer <token>", null, "invalid_api_key");
      }
    }
    await next();
  };
}

function isThisMachine(host: string | undefined): boolean {
  const name = host === undefined ? undefined : /^(\[[0-9a-f:.]+\]|[^:]+)(?::\d+)?$/i.exec(host)?.[1];
  return name !== undefined && LOOPBACK.includes(name.toLowerCase());
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Who may ask the server: this machine's users, or those who have the token. */
import type { MiddlewareHandler } from "hono";
import { UsageError } from "../errors.js";
import { hostOfOrigin, isLoopback, isThisMachine, sameSecret } from "../http/this-machine.js";
import { ApiError } from "./api-error.js";

export interface Access {
  /** The address that is listened on. */
  readonly host: string;
  /** What requests must carry as `Authorization: Bearer ...`; null: nothing. */
  readonly token: string | null;
}

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
  const expected = token === null ? null : `Bearer ${token}`;
  const local = isLoopback(host);
  return async (context, next) => {
    // With other machines about, names are theirs to choose and the token protects.
    if (local && !isThisMachine(context.req.header("host"))) {
      throw new ApiError(403, "the Host header does not name this machine; expected localhost or 127.0.0.1");
    }
    const origin = context.req.header("origin");
    if (local && origin !== undefined && !isThisMachine(hostOfOrigin(origin))) {
      throw new ApiError(403, "requests from web pages of other sites are not answered");
    }
    if (expected !== null && context.req.path !== "/health") {
      const given = context.req.header("authorization");
      if (given === undefined || !sameSecret(given, expected)) {
        context.header("WWW-Authenticate", "Bearer");
        throw new ApiError(401, "expected the header Authorization: Bearer <token>", null, "invalid_api_key");
      }
    }
    await next();
  };
}

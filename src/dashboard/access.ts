/**
 * Who may use the dashboard: browsers that came with the token of the address it printed, which then lives in a cookie that
 * no script and no other site gets; and pages of this very server, told by Origin and Sec-Fetch-Site.
 */
import { randomBytes } from "node:crypto";
import type { Context, MiddlewareHandler } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { hostOfOrigin, isLoopback, isThisMachine, sameSecret } from "../http/this-machine.js";
import { Refusal } from "./refusal.js";

export const newToken = (): string => randomBytes(32).toString("base64url");

/** Nothing from elsewhere, nothing inline, in no frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Headers of every answer. */
export const safeHeaders: MiddlewareHandler = async (context, next) => {
  await next();
  const { headers } = context.res;
  if (!headers.has("Content-Security-Policy")) headers.set("Content-Security-Policy", POLICY);
  headers.set("X-Content-Type-Options", "nosniff");
  headers.set("Referrer-Policy", "no-referrer");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  if (!headers.has("Cache-Control")) headers.set("Cache-Control", "no-store");
};

/** Lets requests of this server's own pages in, and those that bring the token in the address, once, to get the cookie. */
export function guard(host: string, token: string, start: () => string): MiddlewareHandler {
  const local = isLoopback(host);
  return async (context, next) => {
    const asked = context.req.header("host");
    if (asked === undefined || (local && !isThisMachine(asked))) {
      throw new Refusal(403, "the Host header does not name this machine; expected localhost or 127.0.0.1");
    }
    const origin = context.req.header("origin");
    if (origin !== undefined ? hostOfOrigin(origin) !== asked : context.req.method !== "GET") {
      throw new Refusal(403, "only the dashboard's own pages may ask this");
    }
    const given = context.req.query("token");
    if (context.req.path === "/" && context.req.method === "GET" && given !== undefined) {
      if (!sameSecret(given, token)) throw new Refusal(401, WRONG_TOKEN);
      setCookie(context, cookieName(context), token, { httpOnly: true, sameSite: "Strict", path: "/" });
      return context.redirect(start(), 303);
    }
    const site = context.req.header("sec-fetch-site");
    const navigates = context.req.header("sec-fetch-mode") === "navigate" && context.req.method === "GET";
    if (site !== undefined && site !== "same-origin" && site !== "none" && !navigates) {
      throw new Refusal(403, "only the dashboard's own pages may ask this");
    }
    const cookie = getCookie(context, cookieName(context));
    if (cookie === undefined || !sameSecret(cookie, token)) throw new Refusal(401, WRONG_TOKEN);
    await next();
    return undefined;
  };
}

const WRONG_TOKEN = "open the address that nlora printed when it started; it has the token";

/** Cookies do not know ports: each server's has its own name, so that two of them do not log each other out. */
function cookieName(context: Context): string {
  return `nlora-${/:(\d+)$/.exec(context.req.header("host") ?? "")?.[1] ?? "80"}`;
}

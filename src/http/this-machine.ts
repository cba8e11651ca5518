/**
 * Who may ask. A server on this machine's own address is still reachable by web pages in a browser here, directly or by a
 * name of theirs that resolves to it (DNS rebinding): so the Host and Origin headers must name this machine.
 */
import { createHash, timingSafeEqual } from "node:crypto";

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

export const isLoopback = (host: string): boolean => LOOPBACK.includes(host) || host === "::1";

/** Whether a Host header (or the host of an Origin), with or without a port, is a name of this machine. */
export function isThisMachine(host: string | undefined): boolean {
  const name = host === undefined ? undefined : /^(\[[0-9a-f:.]+\]|[^:]+)(?::\d+)?$/i.exec(host)?.[1];
  return name !== undefined && LOOPBACK.includes(name.toLowerCase());
}

/** The host and port of an Origin header; undefined of one that is no web address. */
export const hostOfOrigin = (origin: string): string | undefined => /^https?:\/\/([^/]+)$/.exec(origin)?.[1];

/** Compares secrets by digests of one length, so that the time taken tells nothing about them. */
export function sameSecret(given: string, expected: string): boolean {
  return timingSafeEqual(digest(given), digest(expected));
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

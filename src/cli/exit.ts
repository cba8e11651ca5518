/** How a command ends: exit codes, and errors as lines for people. */

import pc from "picocolors";
import { ConfigError, type ReportedError, UsageError } from "../errors.js";

export const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** `error: ...` a line, then `hint: ...`; the stack only with NLORA_DEBUG=1. */
export function errorText({ message, code, hint, stack }: ReportedError): string {
  const debug = process.env.NLORA_DEBUG === "1";
  const lines = message.split("\n").map((line) => `${pc.red("error:")} ${line}`);
  const help = hint ?? (code === undefined && !debug ? "NLORA_DEBUG=1 shows where this happened" : undefined);
  if (help !== undefined) lines.push(`${pc.cyan("hint:")} ${help}`);
  if (debug && stack !== undefined) lines.push(stack);
  return `${lines.join("\n")}\n`;
}

const USAGE_CODES: ReadonlySet<string> = new Set([new ConfigError("").code, new UsageError("").code]);

/** Wrong usage and wrong configurations are 2, everything else that fails is 1. */
export function exitCodeOf({ code }: ReportedError): ExitCode {
  return code !== undefined && USAGE_CODES.has(code) ? EXIT.usage : EXIT.failed;
}

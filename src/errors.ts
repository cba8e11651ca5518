/** Every error this project throws on purpose. The message says what was found, what was expected, what to do. */

export interface ErrorDetails {
  /** What the reader can do about it; printed on a line of its own. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** Base class of all expected failures. `code` is stable and meant for programs; `message` is meant for people. */
export abstract class NloraError extends Error {
  abstract readonly code: string;
  readonly hint: string | undefined;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.hint = details.hint;
  }
}

/** libtorch or the addon could not be found, built or loaded. */
export class EngineError extends NloraError {
  readonly code = "engine";
}
/** An operator was called with arguments it cannot work with, or a released tensor was used. */
export class TensorError extends NloraError {
  readonly code = "tensor";
}
/** A data file or a row of it is missing, malformed or inconsistent. */
export class DataError extends NloraError {
  readonly code = "data";
}
/** A configuration has an unknown key, a wrong value or a contradiction. */
export class ConfigError extends NloraError {
  readonly code = "config";
}
/** A checkpoint, adapter or tokenizer file is missing, truncated or does not fit. */
export class CheckpointError extends NloraError {
  readonly code = "checkpoint";
}
/** The hub refused something, could not be reached, or sent what it did not promise. */
export class HubError extends NloraError {
  readonly code = "hub";
}
/** A run cannot go on: nothing trainable, a loss that is not finite, a run folder that does not fit. */
export class RunError extends NloraError {
  readonly code = "run";
}
/** The command line was used wrongly (exit code 2). */
export class UsageError extends NloraError {
  readonly code = "usage";
}
/** Too much is asked for at a time. */
export class BusyError extends NloraError {
  readonly code = "busy";
}

/** An error as it is printed or goes to another process. */
export interface ReportedError {
  readonly message: string;
  readonly code?: string | undefined;
  readonly hint?: string | undefined;
  readonly stack?: string | undefined;
}

/** An error that was reported, thrown again: the message, kind and hint it had. */
export class ReportedFailure extends NloraError {
  readonly code: string;

  constructor({ message, code = "failed", hint, stack }: ReportedError) {
    super(message, hint === undefined ? {} : { hint });
    this.code = code;
    if (stack !== undefined) this.stack = stack;
  }
}

/** An error of any origin in that form. */
export function reported(error: unknown): ReportedError {
  if (error instanceof NloraError) {
    return { message: error.message, code: error.code, hint: error.hint, stack: error.stack };
  }
  if (error instanceof Error) return { message: error.message, stack: error.stack };
  return { message: String(error) };
}

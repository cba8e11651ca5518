/** What a page is told when something is not done. */
import { NloraError } from "../errors.js";
import type { Failure } from "./pages/wire.js";

export type Status = 400 | 401 | 403 | 404 | 409 | 413 | 415 | 500 | 503;

export class Refusal extends NloraError {
  readonly code = "refused";

  constructor(
    readonly status: Status,
    message: string,
  ) {
    super(message);
  }
}

export function failureOf({ message, hint }: { message: string; hint?: string | undefined }): Failure {
  return { error: { message, hint: hint ?? null } };
}

/** Errors in the shape that OpenAI's API has, and which status each kind has. */
import { NloraError, type ReportedError } from "../errors.js";

export type Status = 400 | 401 | 403 | 404 | 405 | 413 | 415 | 429 | 500 | 503;

const TYPES: Readonly<Record<Status, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  405: "invalid_request_error",
  413: "invalid_request_error",
  415: "invalid_request_error",
  429: "rate_limit_error",
  500: "server_error",
  503: "server_error",
};

/** What a client is told. */
export class ApiError extends NloraError {
  readonly code = "api";

  constructor(
    readonly status: Status,
    message: string,
    /** The field of the request that is wrong. */
    readonly param: string | null = null,
    /** A word for programs. */
    readonly reason: string | null = null,
  ) {
    super(message);
  }

  get body() {
    const { message, param, reason, status } = this;
    return { error: { message, type: TYPES[status], param, code: reason } };
  }
}

/** An engine's error as a client is told it: what the request caused is 400, what it did not is 5xx. */
export function apiErrorOf({ code, message, hint }: ReportedError): ApiError {
  const whole = hint === undefined ? message : `${message} (${hint})`;
  if (code === "busy") return new ApiError(429, whole, null, "busy");
  if (code === "config" || code === "data") return new ApiError(400, whole);
  if (code === "engine") return new ApiError(503, whole, null, "engine_unavailable");
  return new ApiError(500, whole);
}

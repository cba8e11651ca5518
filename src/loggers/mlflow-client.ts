/** Requests to an MLflow tracking server's REST API, version 2.0, and what its answers mean for whoever asks. */
import { UsageError } from "../errors.js";

/** Waiting may cure it: no connection, no answer in time, a busy or broken server. */
export class Passing extends Error {
  constructor(
    message: string,
    /** The endpoint that was asked. */
    readonly endpoint: string,
    /** Milliseconds that the server asks to wait; null: it does not say. */
    readonly wait: number | null = null,
  ) {
    super(message);
  }
}

/** The server understood and will not. */
export class Refusal extends Error {
  constructor(
    message: string,
    /** MLflow's word for it, `RESOURCE_DOES_NOT_EXIST` and the like. */
    readonly code: string | null = null,
  ) {
    super(message);
  }
}

/** As MLflow's own client reads it: a token, or a name and a password. */
export function authorization(environment: NodeJS.ProcessEnv): string | null {
  const {
    MLFLOW_TRACKING_TOKEN: token,
    MLFLOW_TRACKING_USERNAME: user,
    MLFLOW_TRACKING_PASSWORD: password,
  } = environment;
  if (user) return `Basic ${Buffer.from(`${user}:${password ?? ""}`).toString("base64")}`;
  return token ? `Bearer ${token}` : null;
}

/** The address of a server without a slash behind it. Throws a UsageError for what is none. */
export function serverAddress(word: string): string {
  const problem = (what: string, hint: string) => new UsageError(`mlflow=${what}`, { hint });
  const url = URL.parse(word);
  if (!url || !["http:", "https:"].includes(url.protocol)) {
    throw problem(`${word}: expected an http or https address`, "for example mlflow=http://localhost:5000");
  }
  if (url.username || url.password) {
    throw problem(
      `${url.host}: name and password do not belong into the address`,
      "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    );
  }
  if (url.search || url.hash) throw problem(`${word}: expected an address without ? and #`, "leave it out");
  return url.href.replace(/\/+$/, "");
}

const BUSY: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

type Fields = Readonly<Record<string, unknown>>;

export class MlflowClient {
  constructor(
    readonly address: string,
    readonly authorization: string | null,
    /** How long an answer may take, ms. */
    readonly timeout: number,
    /** Ends every request. */
    readonly signal: AbortSignal,
  ) {}

  get(path: string, query: Readonly<Record<string, string>>): Promise<Fields> {
    return this.#request(path, `?${new URLSearchParams(query)}`, { method: "GET" });
  }

  post(path: string, body: Fields): Promise<Fields> {
    return this.#request(path, "", {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
    });
  }

  /** Throws a Passing or a Refusal. */
  async #request(endpoint: string, query: string, init: RequestInit): Promise<Fields> {
    let response: Response;
    let text: string;
    // Not AbortSignal.any and AbortSignal.timeout: Node 20 may collect the signals they make, and the request never ends.
    const ended = new AbortController();
    const stop = () => ended.abort(this.signal.reason);
    const late = () => ended.abort(new DOMException("no answer in time", "TimeoutError"));
    const timer = setTimeout(late, this.timeout);
    if (this.signal.aborted) stop();
    this.signal.addEventListener("abort", stop, { once: true });
    try {
      response = await fetch(`${this.address}/api/2.0/mlflow/${endpoint}${query}`, {
        ...init,
        headers: { ...init.headers, ...(this.authorization && { authorization: this.authorization }) },
        redirect: "manual",
        signal: ended.signal,
      });
      text = await response.text();
    } catch (error) {
      throw new Passing(reasonOf(error, this.timeout), endpoint);
    } finally {
      clearTimeout(timer);
      this.signal.removeEventListener("abort", stop);
    }
    const { status } = response;
    const fields = objectOf(text);
    if (response.ok) {
      if (fields) return fields;
      throw new Refusal("the answer is no JSON object: is this an MLflow tracking server?");
    }
    if (status >= 300 && status < 400) {
      throw new Refusal(`it sends elsewhere: ${printable(response.headers.get("location") ?? "")}`);
    }
    const code = typeof fields?.error_code === "string" ? fields.error_code : null;
    const said = typeof fields?.message === "string" ? `: ${printable(fields.message)}` : "";
    const message = `status ${status}${code ? ` ${printable(code)}` : ""}${said}`;
    if (!BUSY.has(status)) throw new Refusal(message, code);
    const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
    throw new Passing(message, endpoint, Number.isFinite(seconds) ? seconds * 1000 : null);
  }
}

function reasonOf(error: unknown, timeout: number): string {
  if (error instanceof DOMException && error.name === "TimeoutError")
    return `no answer in ${timeout / 1000} s`;
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return code || (error instanceof Error ? error.message : String(error));
}

function objectOf(text: string): Fields | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : null;
  } catch {
    return null;
  }
}

/** What a server says, on one line of a terminal. */
const printable = (text: string): string => text.replaceAll(/\p{C}+/gu, " ").slice(0, 200);

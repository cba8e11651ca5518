/**
 * GET requests to the hub. Redirects are followed by hand: the token goes to the hub's own address and to no other, and
 * only over https (or on this machine). What may pass by waiting is tried again.
 */
import { HubError } from "../errors.js";
import type { Repository } from "./reference.js";
import { refusal } from "./refusals.js";
import { type HubSettings, isLoopback, isSafe } from "./settings.js";

export interface Patience {
  /** Tries of one request, the first included; bytes that arrive start the count anew. */
  readonly tries: number;
  /** The first wait, doubled every time. */
  readonly milliseconds: number;
  /** The longest wait that a server may ask for. */
  readonly longestWait: number;
  /** How long nothing may arrive before the connection counts as broken. */
  readonly silence: number;
}

const PATIENCE: Patience = { tries: 6, milliseconds: 500, longestWait: 300_000, silence: 60_000 };
const MAX_REDIRECTS = 8;
const PASSING: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** What waiting may cure: a broken connection, a busy server. */
export class Passing extends Error {
  constructor(
    message: string,
    /** Milliseconds that the server asks to wait; null: it does not say. */
    readonly wait: number | null,
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

export class HubClient {
  readonly settings: HubSettings;
  readonly patience: Patience;
  /** Ends every request and every wait. */
  readonly signal: AbortSignal | undefined;

  constructor(settings: HubSettings, patience: Partial<Patience> = {}, signal?: AbortSignal) {
    this.settings = settings;
    this.patience = { ...PATIENCE, ...patience };
    this.signal = signal;
  }

  /** The same client, which `signal` ends as well. */
  stoppable(signal: AbortSignal): HubClient {
    const both = this.signal === undefined ? signal : AbortSignal.any([this.signal, signal]);
    return new HubClient(this.settings, this.patience, both);
  }

  /** Throws when the caller has given up. */
  throwIfAborted(): void {
    this.signal?.throwIfAborted();
  }

  /**
   * Calls `action` until it does not throw a `Passing`, waiting in between; `what` begins the message of the HubError
   * after the last try, `advice` ends its hint. `action` may call `progressed` to have its tries counted anew.
   */
  async persist<T>(
    what: string,
    action: (progressed: () => void) => Promise<T>,
    advice = "What has arrived is kept.",
  ): Promise<T> {
    let failures = 0;
    for (;;) {
      this.throwIfAborted();
      try {
        return await action(() => {
          failures = 0;
        });
      } catch (error) {
        if (!(error instanceof Passing)) throw error;
        failures++;
        const wait = error.wait ?? this.patience.milliseconds * 2 ** (failures - 1);
        if (failures >= this.patience.tries || wait > this.patience.longestWait) {
          const asked =
            error.wait === null ? "" : `; the server asks to wait ${Math.ceil(error.wait / 1000)} s`;
          throw new HubError(`${what}: ${error.message}${asked} (tried ${failures} times)`, {
            hint: `Try again later. ${advice}`,
            cause: error,
          });
        }
        await pause(wait, this.signal);
      }
    }
  }

  /**
   * One request; follows redirects. The body of an answer that is not 2xx or 416 has been read or dropped.
   * @throws Passing for broken connections and busy servers, HubError for refusals
   */
  async get(
    url: string,
    repository: Repository,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const endpoint = new URL(this.settings.endpoint);
    let target = new URL(url);
    let trusted = true;
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      trusted &&= target.origin === endpoint.origin;
      const silence = new Silence(this.patience.silence, this.signal);
      try {
        const response = await fetch(target, {
          redirect: "manual",
          signal: silence.signal,
          headers: {
            // Sizes and ranges count the bytes of the file.
            "accept-encoding": "identity",
            "user-agent": "nlora",
            ...headers,
            ...(trusted &&
              this.settings.token !== null && { authorization: `Bearer ${this.settings.token}` }),
          },
        });
        const answer = new Answer(response, silence);
        const next = response.headers.get("location");
        if (response.status >= 300 && response.status < 400 && next !== null) {
          answer.drop();
          target = checkTarget(next, target, endpoint);
          continue;
        }
        if (response.ok || response.status === 416) return answer;
        const detail = await answer.beginning();
        if (PASSING.has(response.status)) {
          throw new Passing(`the hub answers ${response.status}`, askedWait(response.headers));
        }
        throw refusal(repository, response, detail, this.settings);
      } catch (error) {
        silence.end();
        throw this.#broken(error, silence, target);
      }
    }
    throw new HubError(`${repository.id}: more than ${MAX_REDIRECTS} redirects, the last to ${target.host}`);
  }

  /** An error of the connection as one that may pass; any other as it is. */
  #broken(error: unknown, silence: Silence, { host }: URL): unknown {
    if (error instanceof HubError || error instanceof Passing) return error;
    this.throwIfAborted();
    return connectionError(error, silence, host);
  }
}

/** A response whose body is read piece by piece, with a limit on the time between two pieces. */
export class Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly #response: Response;
  readonly #silence: Silence;

  constructor(response: Response, silence: Silence) {
    this.status = response.status;
    this.headers = response.headers;
    this.#response = response;
    this.#silence = silence;
  }

  /** The body's pieces. Throws Passing when the connection breaks. */
  async *pieces(): AsyncGenerator<Uint8Array, void> {
    const reader = this.#response.body?.getReader();
    try {
      if (reader === undefined) return;
      for (;;) {
        const { done, value } = await unlessAborted(reader.read(), this.#silence.signal);
        if (done) return;
        this.#silence.heard();
        yield value;
        this.#silence.heard();
      }
    } catch (error) {
      if (this.#silence.stopped) throw error;
      throw connectionError(error, this.#silence, new URL(this.#response.url || "http://hub").host);
    } finally {
      this.#silence.end();
      leave(reader);
    }
  }

  /** The whole body, of at most `limit` bytes. Throws HubError when there is more. */
  async bytes(limit: number, what: string): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let size = 0;
    for await (const piece of this.pieces()) {
      size += piece.length;
      if (size > limit) throw new HubError(`${what}: the hub's answer is longer than ${limit} bytes`);
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  }

  /** The first characters of a body that explains an error. */
  async beginning(): Promise<string> {
    const text: string[] = [];
    let size = 0;
    try {
      for await (const piece of this.pieces()) {
        text.push(Buffer.from(piece).toString("utf8"));
        size += piece.length;
        if (size > 2000) break;
      }
    } catch (error) {
      if (!(error instanceof Passing)) throw error;
    }
    return text.join("").slice(0, 2000);
  }

  drop(): void {
    this.#silence.end();
    leave(this.#response.body);
  }
}

/**
 * What `work` gives, or the reason of `signal` as soon as that aborts. The read of a fetched body does not always end
 * when the fetch is aborted: not when the last bytes came just before (Node 20).
 */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** Lets go of the rest of a body; nobody waits for that, and whether it can still be had no longer matters. */
function leave(body: { cancel(): Promise<void> } | null | undefined): void {
  body?.cancel().catch(() => {});
}

/** Aborts when nothing was heard for a while, or when the caller gives up. */
class Silence {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #outer: AbortSignal | undefined;
  readonly #stop = () => this.#controller.abort(this.#outer?.reason);
  broken = false;

  constructor(milliseconds: number, outer: AbortSignal | undefined) {
    this.#outer = outer;
    this.#timer = setTimeout(() => {
      this.broken = true;
      this.#controller.abort();
    }, milliseconds);
    outer?.addEventListener("abort", this.#stop);
    if (outer?.aborted) this.#stop();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether the caller has given up. */
  get stopped(): boolean {
    return this.#outer?.aborted === true;
  }

  heard(): void {
    this.#timer.refresh();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener("abort", this.#stop);
  }
}

function connectionError(error: unknown, silence: Silence, host: string): Passing {
  if (silence.broken) return new Passing(`${host} has gone silent`, null, error);
  let inner = error as { code?: string; message?: string; cause?: unknown };
  while (inner.cause instanceof Error) inner = inner.cause;
  const reason = inner.message || inner.code || String(error);
  return new Passing(`the connection to ${host} failed: ${reason}`, null, error);
}

function checkTarget(location: string, from: URL, endpoint: URL): URL {
  const target = URL.canParse(location, from.href) ? new URL(location, from.href) : null;
  const local = target !== null && isLoopback(target.hostname);
  if (target === null || !isSafe(target) || (local && !isLoopback(endpoint.hostname))) {
    throw new HubError(
      `${from.host} redirects to ${target?.origin ?? "no address"}, expected an https address`,
      {
        hint: "Nothing was fetched from there. Is HF_ENDPOINT right?",
      },
    );
  }
  return target;
}

/** Milliseconds by Retry-After (seconds or a date), or by the hub's RateLimit header. */
function askedWait(headers: Headers): number | null {
  const after = headers.get("retry-after")?.trim();
  if (after !== undefined && /^\d+$/.test(after)) return Number(after) * 1000;
  const date = after === undefined ? Number.NaN : Date.parse(after);
  if (!Number.isNaN(date)) return Math.max(0, date - Date.now());
  const limit = /;\s*t=(\d+)/.exec(headers.get("ratelimit") ?? "");
  return limit === null ? null : Number(limit[1]) * 1000;
}

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

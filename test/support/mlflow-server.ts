/**
 * A small MLflow tracking server over HTTP that checks requests as the REST API's documentation demands: required fields,
 * names, sizes, the limits of a batch. It can be told to fail, to hang and to be slow.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

type Fields = Record<string, unknown>;

export interface StoredRun {
  readonly id: string;
  readonly experiment: string;
  readonly name: string;
  status: string;
  readonly start: number;
  end: number | null;
  readonly metrics: { key: string; value: number; timestamp: number; step: number }[];
  /** The metrics as text, to know a repeated one. */
  readonly rows: Set<string>;
  readonly params: Map<string, string>;
  readonly tags: Map<string, string>;
}

/** What to do with a request instead of answering it; null: answer it. */
export type Trouble = (path: string, count: number) => Instead | Promise<Instead>;
export type Instead =
  | { readonly status: number; readonly body?: string; readonly headers?: Record<string, string> }
  /** Does what was asked, and never says so. */
  | "hang after"
  | "hang"
  | "reset"
  | null;

class Wrong extends Error {
  constructor(
    message: string,
    readonly code = "INVALID_PARAMETER_VALUE",
    readonly status = 400,
  ) {
    super(message);
  }
}

const NAME = /^[/\w.\- ]{1,250}$/;

export class MlflowServer {
  readonly runs: StoredRun[] = [];
  readonly experiments = new Map<string, { id: string; stage: string }>();
  /** Every request: its path and Authorization header. */
  readonly requests: { path: string; authorization: string | undefined }[] = [];
  readonly refusals: string[] = [];
  trouble: Trouble = () => null;
  delay = 0;
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  static async start(): Promise<MlflowServer> {
    const server = new MlflowServer();
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get address(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url!, this.address);
    const path = url.pathname.replace("/api/2.0/mlflow/", "");
    this.requests.push({ path, authorization: request.headers.authorization });
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (this.delay > 0) await pause(this.delay);
    const count = this.requests.filter((each) => each.path === path).length;
    const instead = await this.trouble(path, count);
    if (instead === "reset") return void request.socket.destroy();
    if (instead === "hang") return;
    if (instead !== null && instead !== "hang after") {
      response.writeHead(instead.status, instead.headers).end(instead.body ?? "");
      return;
    }
    let [status, answer]: [number, Fields] = [200, {}];
    try {
      const bytes = Buffer.concat(chunks);
      if (bytes.length > 1e6) throw new Wrong("the request is larger than 1 MB");
      const fields = request.method === "GET" ? Object.fromEntries(url.searchParams) : json(request, bytes);
      answer = this.#answer(`${request.method} ${path}`, fields);
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      this.refusals.push(`${path}: ${error.message}`);
      [status, answer] = [error.status, { error_code: error.code, message: error.message }];
    }
    if (instead === "hang after") return;
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }

  #answer(what: string, fields: Fields): Fields {
    switch (what) {
      case "GET experiments/get-by-name": {
        const name = text(fields, "experiment_name");
        const found = this.experiments.get(name);
        if (!found) throw new Wrong(`no experiment ${name}`, "RESOURCE_DOES_NOT_EXIST", 404);
        return { experiment: { experiment_id: found.id, name, lifecycle_stage: found.stage } };
      }
      case "POST experiments/create": {
        const name = text(fields, "name");
        if (this.experiments.has(name)) throw new Wrong(`${name} is there`, "RESOURCE_ALREADY_EXISTS");
        const id = String(this.experiments.size + 1);
        this.experiments.set(name, { id, stage: "active" });
        return { experiment_id: id };
      }
      case "POST runs/create": {
        const experiment = text(fields, "experiment_id");
        if (![...this.experiments.values()].some(({ id }) => id === experiment))
          throw new Wrong("experiment_id");
        const run: StoredRun = {
          id: (this.runs.length + 1).toString(16).padStart(32, "0"),
          experiment,
          name: text(fields, "run_name"),
          status: "RUNNING",
          start: integer(fields, "start_time"),
          end: null,
          metrics: [],
          rows: new Set(),
          params: new Map(),
          tags: new Map(),
        };
        this.#addTags(run, list(fields, "tags", 100));
        this.runs.push(run);
        return { run: { info: { run_id: run.id, status: run.status }, data: {} } };
      }
      case "POST runs/search": {
        const [, tag, value] = /^tags\.`([^`]+)` = '([^']*)'$/.exec(text(fields, "filter")) ?? [];
        if (!Array.isArray(fields.experiment_ids)) throw new Wrong("experiment_ids");
        const found = this.runs.filter((run) => run.tags.get(tag!) === value);
        return found.length === 0 ? {} : { runs: found.map(({ id }) => ({ info: { run_id: id } })) };
      }
      case "POST runs/log-batch":
        this.#log(this.#run(fields), fields);
        return {};
      case "POST runs/update": {
        const run = this.#run(fields);
        const status = text(fields, "status");
        if (!["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"].includes(status))
          throw new Wrong("status");
        run.status = status;
        if (status !== "RUNNING") run.end = integer(fields, "end_time");
        return { run_info: { run_id: run.id, status } };
      }
      default:
        throw new Wrong(`no endpoint ${what}`, "ENDPOINT_NOT_FOUND", 404);
    }
  }

  #run(fields: Fields): StoredRun {
    const id = text(fields, "run_id");
    const run = this.runs.find((each) => each.id === id);
    if (!run) throw new Wrong(`no run ${id}`, "RESOURCE_DOES_NOT_EXIST", 404);
    return run;
  }

  #log(run: StoredRun, fields: Fields): void {
    const metrics = list(fields, "metrics", 1000);
    const params = list(fields, "params", 100);
    const tags = list(fields, "tags", 100);
    if (metrics.length + params.length + tags.length > 1000) throw new Wrong("more than 1000 items");
    for (const metric of metrics) {
      if (typeof metric.value !== "number") throw new Wrong(`value of ${metric.key}: ${metric.value}`);
      const entry = {
        key: name(metric),
        value: metric.value,
        timestamp: integer(metric, "timestamp"),
        step: integer(metric, "step"),
      };
      // The same point again is one row of the database.
      const row = JSON.stringify(entry);
      if (!run.rows.has(row)) run.metrics.push(entry);
      run.rows.add(row);
    }
    for (const param of params) {
      const [key, value] = [name(param), sized(param, 500)];
      if ((run.params.get(key) ?? value) !== value) throw new Wrong(`the param ${key} cannot be changed`);
      run.params.set(key, value);
    }
    this.#addTags(run, tags);
  }

  #addTags(run: StoredRun, tags: Fields[]): void {
    for (const tag of tags) run.tags.set(name(tag), sized(tag, 5000));
  }
}

function json(request: IncomingMessage, bytes: Buffer): Fields {
  if (request.headers["content-type"] !== "application/json") throw new Wrong("content-type");
  return JSON.parse(bytes.toString("utf8")) as Fields;
}

function text(fields: Fields, key: string): string {
  const value = fields[key];
  if (typeof value !== "string" || value === "") throw new Wrong(`${key} is required`);
  return value;
}

function integer(fields: Fields, key: string): number {
  const value = fields[key];
  if (!Number.isSafeInteger(value)) throw new Wrong(`${key}: expected an int64, found ${value}`);
  return value as number;
}

function list(fields: Fields, key: string, most: number): Fields[] {
  const value = fields[key] ?? [];
  if (!Array.isArray(value)) throw new Wrong(`${key}: expected a list`);
  if (value.length > most) throw new Wrong(`${key}: at most ${most}, found ${value.length}`);
  return value as Fields[];
}

/** A key that also is a path of its own, as file stores keep it. */
function name(fields: Fields): string {
  const key = text(fields, "key");
  const parts = key.split("/");
  if (!NAME.test(key) || parts.some((part) => part === "" || part === "." || part === "..")) {
    throw new Wrong(`the name ${key}`);
  }
  return key;
}

function sized(fields: Fields, bytes: number): string {
  const { value } = fields;
  if (typeof value !== "string") throw new Wrong("a value that is no text");
  if (Buffer.byteLength(value) > bytes) throw new Wrong(`a value of more than ${bytes} bytes`);
  return value;
}

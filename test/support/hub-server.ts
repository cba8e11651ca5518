/**
 * A hub on this machine: the API's list of files, files with ranges, and large files behind a redirect to a second
 * address, as the real one has them. Every request is recorded; `intercept` can answer in its place.
 */
import { createHash } from "node:crypto";
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";

export interface StoredFile {
  readonly content: Buffer;
  /** Kept in large file storage, behind a redirect. */
  readonly large: boolean;
}

export interface Seen {
  /** `list`: the API; `file`: the hub's address of a file; `store`: where large files are. */
  readonly place: "list" | "file" | "store";
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
}

/** Answers a request itself and returns true, or lets it pass. `count`: requests like it so far, this one included. */
type Intercept = (seen: Seen & { readonly count: number }, response: ServerResponse) => boolean | undefined;

export const COMMIT = "0123456789abcdef0123456789abcdef01234567";

export const small = (content: string): StoredFile => ({ content: Buffer.from(content), large: false });
export const large = (content: Buffer | string): StoredFile => ({
  content: Buffer.from(content),
  large: true,
});

export const sha256 = (content: Buffer): string => createHash("sha256").update(content).digest("hex");
export const gitSha1 = (content: Buffer): string =>
  createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");

/** Pointer that git keeps for a large file. */
const pointer = (content: Buffer): Buffer =>
  Buffer.from(
    `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256(content)}\nsize ${content.length}\n`,
  );

export class HubServer {
  readonly seen: Seen[] = [];
  /** `models/org/name` or `datasets/org/name` -> files by path. */
  readonly repositories = new Map<string, Map<string, StoredFile>>();
  /** Branches and tags; main is there from the start. */
  readonly commits = new Map([["main", COMMIT]]);
  intercept: Intercept = () => undefined;
  readonly #hub: Server;
  readonly #store: Server;

  private constructor() {
    this.#hub = createServer((request, response) => this.#answer(request, response));
    this.#store = createServer((request, response) => this.#answer(request, response, "store"));
  }

  static async start(): Promise<HubServer> {
    const server = new HubServer();
    for (const each of [server.#hub, server.#store]) {
      await new Promise<void>((resolve) => each.listen(0, "127.0.0.1", resolve));
    }
    return server;
  }

  async stop(): Promise<void> {
    for (const each of [this.#hub, this.#store]) {
      each.closeAllConnections();
      await new Promise((resolve) => each.close(resolve));
    }
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#hub.address() as AddressInfo).port}`;
  }

  get storeAddress(): string {
    return `http://127.0.0.1:${(this.#store.address() as AddressInfo).port}`;
  }

  add(name: string, files: Readonly<Record<string, StoredFile>>): void {
    this.repositories.set(name, new Map(Object.entries(files)));
  }

  /** Addresses that were asked for, without the server's own. */
  asked(place?: Seen["place"]): string[] {
    return this.seen.filter((each) => place === undefined || each.place === place).map(({ url }) => url);
  }

  #answer(request: IncomingMessage, response: ServerResponse, at?: "store"): void {
    const url = request.url ?? "";
    const place = at ?? (url.startsWith("/api/") ? "list" : "file");
    const seen: Seen = { place, url, headers: request.headers };
    this.seen.push(seen);
    const count = this.seen.filter((each) => each.place === place && each.url === url).length;
    if (this.intercept({ ...seen, count }, response) === true) return;
    if (place === "list") this.#list(url, response);
    else if (place === "file") this.#file(url, request, response);
    else this.#stored(url, request, response);
  }

  #list(url: string, response: ServerResponse): true {
    const match = /^\/api\/((?:models|datasets)\/[^/]+\/[^/]+)\/revision\/([^/?]+)\?blobs=true$/.exec(url);
    const files = this.repositories.get(match?.[1] ?? "");
    if (!match || !files) return refuse(response, 404, "RepoNotFound", "Repository not found");
    const revision = decodeURIComponent(match[2]!);
    const commit = this.commits.get(revision) ?? [...this.commits.values()].find((each) => each === revision);
    if (commit === undefined) return refuse(response, 404, "RevisionNotFound", `Invalid rev id: ${revision}`);
    const siblings = [...files].map(([rfilename, { content, large }]) =>
      large
        ? {
            rfilename,
            size: content.length,
            blobId: gitSha1(pointer(content)),
            lfs: { sha256: sha256(content), size: content.length, pointerSize: 134 },
          }
        : { rfilename, size: content.length, blobId: gitSha1(content) },
    );
    return reply(response, 200, {}, JSON.stringify({ sha: commit, siblings }));
  }

  #file(url: string, request: IncomingMessage, response: ServerResponse): true {
    const match = /^\/(datasets\/)?([^/]+\/[^/]+)\/resolve\/([0-9a-f]{40})\/(.+)$/.exec(url);
    const files = this.repositories.get(`${match?.[1] ?? "models/"}${match?.[2]}`);
    const file = files?.get(decodeURIComponent(match?.[4] ?? ""));
    if (!file) return refuse(response, 404, "EntryNotFound", "Entry not found");
    if (!file.large) return send(file.content, request, response);
    return redirect(response, `${this.storeAddress}/${sha256(file.content)}?signature=x`);
  }

  #stored(url: string, request: IncomingMessage, response: ServerResponse): true {
    const hash = url.slice(1, 65);
    const files = [...this.repositories.values()].flatMap((each) => [...each.values()]);
    const file = files.find(({ content }) => sha256(content) === hash);
    return file ? send(file.content, request, response) : refuse(response, 404, "", "");
  }
}

/** Answers, and says so. */
export function reply(
  response: ServerResponse,
  status: number,
  headers: OutgoingHttpHeaders = {},
  body: Buffer | string = "",
): true {
  response.writeHead(status, headers);
  response.end(body);
  return true;
}

export const redirect = (response: ServerResponse, location: string, status = 302): true =>
  reply(response, status, { location });

export const refuse = (response: ServerResponse, status: number, code: string, message: string): true =>
  reply(
    response,
    status,
    { "x-error-code": code, "x-error-message": message },
    JSON.stringify({ error: message }),
  );

/** The content, or the part of it that the request asks for. */
export function send(content: Buffer, { headers }: IncomingMessage, response: ServerResponse): true {
  const range = /^bytes=(\d+)-$/.exec(headers.range ?? "");
  if (range === null) return reply(response, 200, { "content-length": content.length }, content);
  const start = Number(range[1]);
  const { length } = content;
  if (start >= length) return reply(response, 416, { "content-range": `bytes */${length}` });
  const partial = {
    "content-length": length - start,
    "content-range": `bytes ${start}-${length - 1}/${length}`,
  };
  return reply(response, 206, partial, content.subarray(start));
}

/** Sends the beginning of the content and breaks the connection. */
export function breakOff(content: Buffer, length: number, response: ServerResponse): true {
  response.writeHead(200, { "content-length": content.length });
  response.write(content.subarray(0, length), () => response.destroy());
  return true;
}

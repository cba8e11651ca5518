/** Where the hub is, where its files are kept and who is asking: the environment variables that huggingface_hub reads. */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { ConfigError } from "../errors.js";

export interface HubSettings {
  /** Address of the hub, without a slash at its end. */
  readonly endpoint: string;
  /** Folder with models--org--name and the like. */
  readonly cache: string;
  readonly token: string | null;
  /** Only what is in the cache may be used. */
  readonly offline: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws a ConfigError for an endpoint or a token that cannot be one. */
export function hubSettings(environment: Environment = process.env): HubSettings {
  const read = (...names: string[]): string | null =>
    names.map((name) => environment[name]?.trim()).find((value) => value) ?? null;
  const path = (...names: string[]): string | null =>
    read(...names)?.replace(/^~(?=\/|$)/, homedir()) ?? null;
  const on = (name: string): boolean => /^(1|on|yes|true)$/i.test(read(name) ?? "");

  const home = path("HF_HOME") ?? join(path("XDG_CACHE_HOME") ?? join(homedir(), ".cache"), "huggingface");
  const anonymous = on("HF_HUB_DISABLE_IMPLICIT_TOKEN");
  return {
    endpoint: readEndpoint(read("HF_ENDPOINT") ?? "https://huggingface.co"),
    cache: path("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE") ?? join(home, "hub"),
    token: anonymous
      ? null
      : (checkToken(read("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"), "HF_TOKEN") ??
        tokenFile(path("HF_TOKEN_PATH") ?? join(home, "token"))),
    offline: on("HF_HUB_OFFLINE") || on("TRANSFORMERS_OFFLINE"),
  };
}

/** Whether an address may be asked: by https, or by http on this machine. */
export const isSafe = ({ protocol, hostname }: URL): boolean =>
  protocol === "https:" || (protocol === "http:" && isLoopback(hostname));

export const isLoopback = (hostname: string): boolean =>
  hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);

function readEndpoint(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url === null || !isSafe(url) || url.username !== "" || url.search !== "" || url.hash !== "") {
    throw new ConfigError(`HF_ENDPOINT: expected an address such as https://huggingface.co, found ${value}`, {
      hint: "http is accepted for an address of this machine only, because a token could be read on the way",
    });
  }
  return url.href.replace(/\/+$/, "");
}

function tokenFile(path: string): string | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch (cause) {
    if (["ENOENT", "ENOTDIR"].includes((cause as NodeJS.ErrnoException).code ?? "")) return null;
    throw new ConfigError(`the token file ${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
  return text === "" ? null : checkToken(text, path);
}

/** The message does not show it. */
function checkToken(token: string | null, where: string): string | null {
  if (token !== null && !/^[\x21-\x7e]+$/.test(token)) {
    throw new ConfigError(`${where}: expected a token, found text with blanks or characters beyond ASCII`);
  }
  return token;
}

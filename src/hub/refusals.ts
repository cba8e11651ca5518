/** What the hub means by refusing a request, and what to do about it. */
import { HubError } from "../errors.js";
import type { Repository } from "./reference.js";
import type { HubSettings } from "./settings.js";

/** The error for an answer of 4xx or a 5xx that does not pass; `body` is the beginning of the answer. */
export function refusal(
  { kind, id, revision }: Repository,
  { status, headers }: { readonly status: number; readonly headers: Headers },
  body: string,
  { endpoint, token }: HubSettings,
): HubError {
  const code = headers.get("x-error-code") ?? "";
  const said = oneLine(headers.get("x-error-message") ?? messageOf(body));
  const says = said === "" ? "" : `: ${said}`;
  const page = `${endpoint}/${kind === "dataset" ? "datasets/" : ""}${id}`;
  const tokens = `${endpoint}/settings/tokens`;
  if (code === "GatedRepo" || (status === 403 && code === "")) {
    return new HubError(
      `${id} is gated, and this ${token === null ? "request carries no token" : "token has no access"}${says}`,
      {
        hint: `Accept the terms on ${page}, then set HF_TOKEN to a token of that account (${tokens}).`,
      },
    );
  }
  if (code === "RevisionNotFound") {
    return new HubError(`${id} has no revision ${revision}`, {
      hint: `Branches, tags and commits are listed on ${page}/tree/main; without @revision it is main.`,
    });
  }
  if (code === "EntryNotFound") {
    return new HubError(`${id}@${revision}: a file that the hub listed is not there${says}`);
  }
  if (status === 401 && token !== null && code !== "RepoNotFound") {
    return new HubError(`${id}: the hub does not accept the token${says}`, {
      hint: `Set HF_TOKEN to a valid token (${tokens}), or unset it for public repositories.`,
    });
  }
  if (status === 401 || status === 404 || code === "RepoNotFound") {
    const reach = token === null ? "there is no public" : "this token sees no";
    return new HubError(`${reach} ${kind} ${id} on ${new URL(endpoint).host}`, {
      hint: `Check the spelling on ${endpoint}; for a private or gated ${kind} set HF_TOKEN to a token that may read it (${tokens}).`,
    });
  }
  return new HubError(`${id}: the hub answers ${status}${says}`);
}

/** Answers of the API are JSON with a member `error`. */
function messageOf(body: string): string {
  try {
    const { error } = JSON.parse(body) as { error?: unknown };
    return typeof error === "string" ? error : "";
  } catch {
    return "";
  }
}

const oneLine = (text: string): string =>
  text
    .replace(/[\p{Cc}\s]+/gu, " ")
    .trim()
    .slice(0, 200);

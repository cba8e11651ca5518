/** Questions to the dashboard's server. */
import { find, setText } from "./dom.js";
import type { Failure } from "./wire.js";

/** What the server did not do, in its words. */
export class ServerError extends Error {
  constructor(
    readonly status: number,
    readonly body: unknown,
    message: string,
  ) {
    super(message);
  }
}

export async function ask<Answer>(path: string, post?: object): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch(
      path,
      post && {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(post),
      },
    );
  } catch {
    throw new ServerError(0, null, "the dashboard does not answer; was nlora closed?");
  }
  const body: unknown = await response.json();
  if (response.ok) return body as Answer;
  const failure = body as Partial<Failure>;
  const { message = "the server refused", hint } = failure.error ?? {};
  throw new ServerError(response.status, body, hint ? `${message} (${hint})` : message);
}

/** Hears the messages of a stream, while the page is looked at; says when the server is gone. */
export function listen<Message>(path: string, onMessage: (message: Message) => void): void {
  const connection = find("#connection", HTMLElement);
  let source: EventSource | null = null;
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(path);
    source.addEventListener("open", () => setText(connection, ""));
    source.addEventListener("error", () =>
      setText(connection, "not connected: nlora was closed, or is busy"),
    );
    source.addEventListener("message", (event) => onMessage(JSON.parse(event.data as string) as Message));
  };
  const close = () => {
    source?.close();
    source = null;
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  open();
}

/** A journal as a logger would have heard it, had the run never been interrupted. */
import type { RunEvent } from "../learn/events.js";

export interface TimedEvent {
  readonly event: RunEvent;
  /** Milliseconds since 1970. */
  readonly time: number;
}

/** Without what belongs to tasks that began anew later, and with one start and one end. */
export function lastingEvents(events: readonly RunEvent[]): TimedEvent[] {
  const times = journalTimes(events);
  const started = events.findIndex(({ type }) => type === "run-start");
  const ended = events.findLastIndex(({ type }) => type === "run-end" || type === "run-failed");
  const goneOn = events.findLastIndex(({ type }) => type === "run-start");
  let beganAnew = Number.POSITIVE_INFINITY;
  return events
    .map((event, place) => ({ event, place, time: times[place]! }))
    .reverse()
    .filter(({ event, place }) => {
      switch (event.type) {
        case "run-start":
          return place === started;
        case "run-end":
        case "run-failed":
          return place === ended && ended > goneOn;
        case "task-start": {
          const lasts = event.index < beganAnew;
          beganAnew = Math.min(beganAnew, event.index);
          return lasts;
        }
        case "step":
        case "task-end":
          return event.index < beganAnew;
        case "evaluation":
        case "evaluation-progress":
          return event.afterIndex < beganAnew;
        default:
          return true;
      }
    })
    .reverse()
    .map(({ event, time }) => ({ event, time }));
}

/**
 * When each event of a journal happened, in ms since 1970. Only starts and ends carry a time: between them it advances by
 * what evaluations and tasks took, the steps of a task spread evenly over it.
 */
function journalTimes(events: readonly RunEvent[]): number[] {
  let now = 0;
  let task: { readonly steps: number; readonly from: number; readonly milliseconds: number } | null = null;
  return events.map((event, place) => {
    switch (event.type) {
      case "run-start":
      case "run-end":
      case "run-failed":
        now = Math.max(now, Date.parse(event.time) || 0);
        break;
      case "task-start":
        task = { steps: event.steps, from: now, milliseconds: 1000 * secondsOf(events, place) };
        break;
      case "step":
        if (task) now = Math.max(now, Math.round(task.from + (task.milliseconds * event.step) / task.steps));
        break;
      case "evaluation":
        now += Math.round(1000 * event.seconds);
        break;
    }
    return now;
  });
}

/** Training seconds of the task that starts at this place; 0 where it did not end. */
function secondsOf(events: readonly RunEvent[], place: number): number {
  for (const event of events.slice(place + 1)) {
    if (event.type === "task-end") return event.seconds;
    if (event.type === "task-start" || event.type === "run-start") break;
  }
  return 0;
}

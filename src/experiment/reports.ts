/** Work that takes its time and reports how far it is, as a generator of its reports. */

/**
 * Yields the reports of `work` as they come and returns its result. Ending the generator early aborts the signal and
 * waits until the work has stopped.
 */
export async function* reportsOf<Report, Result>(
  work: (report: (value: Report) => void, signal: AbortSignal) => Promise<Result>,
): AsyncGenerator<Report, Result> {
  const controller = new AbortController();
  const reports: Report[] = [];
  let isDone = false;
  let wake = () => {};
  const report = (value: Report) => {
    reports.push(value);
    wake();
  };
  const result = work(report, controller.signal).finally(() => {
    isDone = true;
    wake();
  });
  try {
    for (;;) {
      while (reports.length > 0) yield reports.shift()!;
      if (isDone) return await result;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    controller.abort();
    // Its error has been thrown above, unless nobody waits for it any more.
    await result.catch(() => {});
  }
}

/** `nlora inspect`: what adapters are like, alone and against each other. */
import { UsageError } from "../../errors.js";
import type { Reading } from "../../metrics/inspection.js";
import { EXIT, type ExitCode } from "../exit.js";
import { inspectionTables, READING_NAMES } from "../inspection-tables.js";

export interface InspectCommandOptions {
  readonly json?: boolean;
  readonly layers?: boolean;
  readonly modules?: boolean;
  readonly scaled?: boolean;
  /** False with --no-elements. */
  readonly elements: boolean;
  /** A list with commas. */
  readonly readings: string;
  readonly map?: readonly string[];
  /** Two numbers or names with a comma between. */
  readonly pair?: string;
  readonly mapReading: string;
}

export async function inspect(paths: readonly string[], options: InspectCommandOptions): Promise<ExitCode> {
  const { map = [], layers = false, modules = false } = options;
  const reading = readingOf(options.mapReading, "--map-reading");
  const pair = options.pair === undefined ? undefined : pairOf(options.pair, map.length);
  const readings = options.readings.split(",").map((name) => readingOf(name, "--readings"));
  // Loads the engine, so only when the command runs.
  const { inspectAdapters } = await import("../../analysis/inspect.js");
  const isLive = process.stderr.isTTY && !options.json;
  const inspection = inspectAdapters(paths, {
    scaled: options.scaled ?? false,
    readings: options.elements ? READING_NAMES.filter((name) => readings.includes(name)) : [],
    maps: map.map((module) => ({ module, reading, ...(pair && { pair }) })),
    ...(isLive && { onModule: (done, count) => process.stderr.write(`\rmodule ${done + 1} of ${count}`) }),
  });
  if (isLive) process.stderr.write("\r\x1b[K");
  const text = options.json ? JSON.stringify(inspection) : inspectionTables(inspection, { layers, modules });
  process.stdout.write(`${text}\n`);
  return EXIT.done;
}

function readingOf(text: string, option: string): Reading {
  const found = READING_NAMES.find((name) => name === text.trim());
  if (found) return found;
  throw new UsageError(`${option}: expected any of ${READING_NAMES.join(", ")}, found "${text}"`);
}

function pairOf(text: string, maps: number): readonly [string, string] {
  if (maps === 0) throw new UsageError("--pair chooses the adapters of a map, but there is no --map");
  const [first, second, ...more] = text.split(",").map((part) => part.trim());
  if (first && second && more.length === 0) return [first, second];
  throw new UsageError(`--pair: expected two numbers or names with a comma between, found "${text}"`);
}

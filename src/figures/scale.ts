/** From values to places on paper and back, with ticks at round values. */

export interface Tick {
  readonly value: number;
  readonly label: string;
}

export interface Scale {
  /** Least and largest value of the axis. */
  readonly domain: readonly [number, number];
  readonly ticks: readonly Tick[];
  /** Place of a value, in pixels. */
  position(value: number): number;
  /** The value at a place. */
  invert(position: number): number;
}

type Range = readonly [number, number];

/** Steps of 1, 2 or 5 times a power of ten; about `count` of them cover the span. */
export function niceStep(span: number, count: number): number {
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((each) => each * power >= rough * (1 - 1e-9))!;
  return factor * power;
}

/**
 * An axis in equal steps over the values, rounded out to whole steps. `bounds` fixes an end. All values equal, or none:
 * a tenth of the value, or a span of 1.
 */
export function linearScale(
  values: readonly number[],
  range: Range,
  options: {
    readonly count?: number;
    readonly min?: number | undefined;
    readonly max?: number | undefined;
  } = {},
): Scale {
  const count = options.count ?? 5;
  let low = options.min ?? Math.min(...(values.length > 0 ? values : [0]));
  let high = options.max ?? Math.max(...(values.length > 0 ? values : [low]));
  const size = Math.max(Math.abs(low), Math.abs(high));
  // Too close together for steps between them to be numbers of their own.
  if (!(high - low > Math.max(size * 1e-9, 1e-100))) {
    const room = size * 0.05;
    low = options.min ?? (size > 1e-100 ? low - room : 0);
    high = options.max ?? (size > 1e-100 ? high + room : low + 1);
    if (!(high > low)) high = low + 1;
  }
  const step = niceStep(high - low, count);
  const first = options.min === undefined ? Math.floor(low / step + 1e-9) : Math.ceil(low / step - 1e-9);
  const last = options.max === undefined ? Math.ceil(high / step - 1e-9) : Math.floor(high / step + 1e-9);
  const steps = Array.from({ length: last - first + 1 }, (_, index) => first + index);
  const ticks = steps.map((times) => rounded(times * step, step));
  const domain = [options.min ?? ticks[0]!, options.max ?? ticks.at(-1)!] as const;
  const [from, to] = range;
  const perUnit = (to - from) / (domain[1] - domain[0]);
  return {
    domain,
    ticks: ticks.map((value) => ({ value, label: tickText(value, step) })),
    position: (value) => from + (value - domain[0]) * perUnit,
    invert: (position) => domain[0] + (position - from) / perUnit,
  };
}

/** A multiple of a step without the noise of binary fractions. */
function rounded(value: number, step: number): number {
  const digits = Math.min(15, Math.max(1, Math.ceil(Math.log10(Math.abs(value) / step + 1)) + 2));
  return value === 0 ? 0 : Number(value.toPrecision(digits));
}

/** Places in the order 0, 1, 2, ... in the middle of equal bands; every label is a tick. */
export function bandScale(labels: readonly string[], range: Range): Scale & { readonly band: number } {
  const [from, to] = range;
  const band = (to - from) / Math.max(1, labels.length);
  return {
    domain: [0, labels.length - 1],
    ticks: labels.map((label, value) => ({ value, label })),
    position: (value) => from + (value + 0.5) * band,
    invert: (position) => (position - from) / band - 0.5,
    band: Math.abs(band),
  };
}

/**
 * An axis in equal ratios, from one power of ten to another (or part of one, where the values span little). Values of 0
 * have a place of their own, before the axis breaks; values below 0 have none.
 */
export function logScale(values: readonly number[], range: Range): Scale & { readonly zero: number | null } {
  const positive = values.filter((value) => value > 0);
  const hasZero = values.some((value) => value === 0);
  const low = Math.min(...(positive.length > 0 ? positive : [1]));
  const high = Math.max(...(positive.length > 0 ? positive : [10]));
  let [first, last] = [Math.floor(Math.log10(low) + 1e-9), Math.ceil(Math.log10(high) - 1e-9)];
  if (first === last) last = first + 1;
  // A part of a decade at either end is cut at 2 or 5.
  const start = [5, 2, 1].map((factor) => factor * 10 ** first).find((edge) => edge <= low * (1 + 1e-9))!;
  const end = [0.2, 0.5, 1].map((factor) => factor * 10 ** last).find((edge) => edge >= high * (1 - 1e-9))!;
  const domain = (end > start * 1.5 ? [start, end] : [10 ** first, 10 ** last]) as readonly [number, number];
  const [from, to] = range;
  const zero = hasZero ? from : null;
  const begin = hasZero ? from + (to - from) * 0.12 : from;
  const [logLow, logHigh] = [Math.log10(domain[0]), Math.log10(domain[1])];
  const perDecade = (to - begin) / (logHigh - logLow);
  const ticks = logTicks(domain).map((value) => ({ value, label: tickText(value, value) }));
  return {
    domain,
    zero,
    ticks: [...(hasZero ? [{ value: 0, label: "0" }] : []), ...ticks],
    position: (value) =>
      value === 0 && zero !== null ? zero : begin + (Math.log10(value) - logLow) * perDecade,
    invert: (position) =>
      zero !== null && Math.abs(position - zero) < Math.abs(begin - from) / 2
        ? 0
        : 10 ** (logLow + (position - begin) / perDecade),
  };
}

/** Powers of ten, with their doubles and quintuples where there are few, fewer where there are many. */
function logTicks([low, high]: readonly [number, number]): number[] {
  const decades = Math.log10(high / low);
  const factors = decades <= 3.1 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil(decades / 7));
  const [first, last] = [Math.floor(Math.log10(low) + 1e-9), Math.ceil(Math.log10(high) - 1e-9)];
  const ticks: number[] = [];
  for (let power = first; power <= last; power++) {
    if ((power - first) % every !== 0) continue;
    for (const factor of factors) {
      const value = Number(`${factor}e${power}`);
      if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) ticks.push(value);
    }
  }
  return ticks;
}

/** A tick's value with the decimals that its step needs; very large and very small ones with a power of ten. */
export function tickText(value: number, step: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || step < 1e-4) {
    const [digits, power] = value.toExponential(6).split("e") as [string, string];
    return minus(`${Number(digits)}e${Number(power)}`);
  }
  const decimals = Math.min(20, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  return minus(value.toFixed(decimals));
}

/** A number for people to read: four significant digits, a true minus sign; null is "not measured". */
export function readable(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return "not measured";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) {
    const [digits, power] = value.toExponential(3).split("e") as [string, string];
    return minus(`${Number(digits)}e${Number(power)}`);
  }
  return minus(String(Number(value.toPrecision(Math.max(4, Math.floor(Math.log10(size)) + 1)))));
}

const minus = (text: string): string => text.replaceAll("-", "−");

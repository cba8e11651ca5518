/** Numbers as people read them. Undefined values are a dash, never 0 or NaN. */

export const NONE = "–";

/** A percentage or another number near 1 to 100: two decimals. */
export function fixed(value: number | null | undefined, decimals = 2): string {
  return value == null ? NONE : value.toFixed(decimals);
}

/** Any size of number with four significant digits. */
export function significant(value: number | null | undefined): string {
  if (value == null) return NONE;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) return value.toExponential(2);
  return value.toFixed(Math.max(0, 3 - Math.floor(Math.log10(size))));
}

/** A count: 950, 1.2k, 3.4M. */
export function count(value: number): string {
  if (value < 1000) return String(Math.round(value));
  if (value < 1e6) return `${(value / 1e3).toFixed(1)}k`;
  return `${(value / 1e6).toFixed(1)}M`;
}

export function bytes(value: number): string {
  const mebibytes = value / 2 ** 20;
  if (mebibytes < 1) return `${(value / 1024).toFixed(0)} KiB`;
  return mebibytes < 1024 ? `${mebibytes.toFixed(0)} MiB` : `${(mebibytes / 1024).toFixed(1)} GiB`;
}

/** 4.2 s, 1 min 05 s, 2 h 03 min. */
export function duration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const two = (value: number) => String(value).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** Scores of a Unigram model as the library's JSON reader takes them: sometimes one step off the nearest double. */

/**
 * The double that the library reads from the shortest decimal form of `value`: it rounds the digits to a double and
 * then divides by a power of ten, two roundings for more than 15 digits. Scores this close decide between splits
 * that would otherwise tie.
 */
export function scoreAsRead(value: number): number {
  if (Number.isInteger(value)) return value;
  const [mantissa, exponent = "0"] = String(Math.abs(value)).split("e");
  const [whole, fraction = ""] = mantissa!.split(".");
  const power = Number(exponent) - fraction.length;
  const digits = Number(whole + fraction);
  const magnitude = power < 0 ? digits / Number(`1e${-power}`) : digits * Number(`1e${power}`);
  return value < 0 ? -magnitude : magnitude;
}

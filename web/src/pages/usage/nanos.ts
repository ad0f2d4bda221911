/** Sums of money as integers: 1e-9 of the currency's unit, as the platform counts. */

const DIGITS = 9;

/**
 * An amount from JSON. Numbers of up to nine million units keep all nine digits; beyond that a float has fewer.
 */
export function nanosOf(amount: number | string): bigint {
  const text = typeof amount === "number" ? fixed(amount) : amount;
  const [whole = "0", fraction = ""] = text.replace("-", "").split(".");
  const nanos = BigInt(whole + fraction.padEnd(DIGITS, "0").slice(0, DIGITS));
  return text.startsWith("-") ? -nanos : nanos;
}

function fixed(amount: number): string {
  return Math.abs(amount) < 1e21 ? amount.toFixed(DIGITS) : BigInt(Math.round(amount)).toString();
}

/** What is left, never below nothing. */
export function left(amount: bigint, spent: bigint): bigint {
  return amount > spent ? amount - spent : 0n;
}

/** `part` of `whole` as a number for a bar: 0 to 1 and beyond. Nothing of nothing is all of it. */
export function ratio(part: bigint, whole: bigint): number {
  if (whole === 0n) return 1;
  return Number((part * 1_000_000n) / whole) / 1_000_000;
}

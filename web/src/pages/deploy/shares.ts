/**
 * Weights as shares of a whole. A share counts tenths of a percent; shares always add up to WHOLE, whatever is
 * moved, and none is below LEAST: a target that shall get nothing is removed.
 */

export const WHOLE = 1000;
export const LEAST = 1;

/** The shares of relative weights, by largest remainder. */
export function sharesOf(weights: readonly number[]): number[] {
  return allot(WHOLE, weights);
}

/** A share as the weight that is stored: percent. */
export const weightOf = (share: number) => share / 10;

/** One share is moved to `wanted`; the others give or take in proportion to what they have. */
export function moved(shares: readonly number[], index: number, wanted: number): number[] {
  const others = shares.filter((_, place) => place !== index);
  if (others.length === 0) return [WHOLE];
  const share = Math.min(Math.max(Math.round(wanted), LEAST), WHOLE - others.length * LEAST);
  const rest = allot(WHOLE - share, others);
  return [...rest.slice(0, index), share, ...rest.slice(index)];
}

/** One more target, which gets an equal part. */
export function added(shares: readonly number[]): number[] {
  if (shares.length === 0) return [WHOLE];
  return moved([...shares, LEAST], shares.length, WHOLE / (shares.length + 1));
}

/** Without one target; the others keep their proportions. */
export function removed(shares: readonly number[], index: number): number[] {
  return allot(WHOLE, shares.filter((_, place) => place !== index));
}

/** `total` in whole parts, proportional to the weights, each at least LEAST. */
function allot(total: number, weights: readonly number[]): number[] {
  if (weights.length === 0) return [];
  const sum = weights.reduce((before, weight) => before + weight, 0);
  const exact = weights.map((weight) => (sum > 0 ? (weight / sum) * total : total / weights.length));
  const parts = exact.map((value) => Math.max(LEAST, Math.floor(value)));
  let left = total - parts.reduce((before, part) => before + part, 0);
  const byRemainder = exact.map((value, index) => ({ index, remainder: value - Math.floor(value) }));
  byRemainder.sort((a, b) => b.remainder - a.remainder || a.index - b.index);
  for (const { index } of byRemainder) {
    if (left <= 0) break;
    parts[index] = (parts[index] ?? 0) + 1;
    left -= 1;
  }
  // raised ones are paid for by the largest
  for (; left < 0; left += 1) {
    const largest = parts.indexOf(Math.max(...parts));
    parts[largest] = (parts[largest] ?? 0) - 1;
  }
  return parts;
}

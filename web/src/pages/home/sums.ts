/** Adding up what the cost and usage endpoints answer. Money is added in whole nanos, never as a fraction. */
import type { Wire } from "../../api";

const NANOS = 1_000_000_000;

export interface Spent {
  currency: string;
  nanos: bigint;
}

/** One sum a currency, the largest first. */
export function spentIn(page: Wire<"CostPage">): Spent[] {
  const sums = new Map<string, bigint>();
  for (const { amount } of page.data.flatMap((bucket) => bucket.results)) {
    if (!amount) continue;
    const nanos = BigInt(Math.round(amount.value * NANOS));
    sums.set(amount.currency, (sums.get(amount.currency) ?? 0n) + nanos);
  }
  return [...sums].map(([currency, nanos]) => ({ currency, nanos })).sort((a, b) => (a.nanos < b.nanos ? 1 : -1));
}

/** Whether something was asked for whose price nobody knows. */
export function hasUnpriced(page: Wire<"CostPage">): boolean {
  return page.data.some((bucket) => bucket.results.some((result) => result.amount === null));
}

/** Midnight here, as unix seconds, on the full hour that the cost endpoint's buckets begin with. */
export function startOfToday(now: Date): number {
  const midnight = new Date(now);
  midnight.setHours(0, 0, 0, 0);
  return Math.floor(midnight.getTime() / 1000 / 3600) * 3600;
}

/** What an answer cost, from the prices in force. Integers: 1e-9 of the currency's unit, as the books count. */
import type { Usage } from "./completion";

export interface Price {
  model: string;
  currency: string;
  /** For a million tokens, in the currency's unit. */
  input: number;
  cached_input: number;
  output: number;
  effective_from: number;
  created_at: number;
  /** A price of the installation, which an own price replaces. */
  shared: boolean;
}

export interface Cost {
  nanos: bigint;
  currency: string;
}

const NANOS = 1e9;
const TOKENS_PER_PRICE = 1_000_000n;

/** The price of a model at a moment (unix seconds); null when nobody knows one. */
export function priceOf(prices: readonly Price[], model: string, at: number): Price | null {
  const inForce = prices.filter((price) => price.model === model && price.effective_from <= at);
  const own = inForce.filter((price) => !price.shared);
  const [newest] = (own.length > 0 ? own : inForce).sort(
    (a, b) => b.effective_from - a.effective_from || b.created_at - a.created_at,
  );
  return newest ?? null;
}

export function costOf(price: Price, usage: Usage): Cost {
  const cached = Math.min(usage.prompt_tokens_details?.cached_tokens ?? 0, usage.prompt_tokens);
  const total =
    BigInt(usage.prompt_tokens - cached) * nanosOf(price.input) +
    BigInt(cached) * nanosOf(price.cached_input) +
    BigInt(usage.completion_tokens) * nanosOf(price.output);
  return { nanos: rounded(total, TOKENS_PER_PRICE), currency: price.currency };
}

const nanosOf = (amount: number) => BigInt(Math.round(amount * NANOS));

/** To the nearest, ties to even, as the platform rounds. */
function rounded(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  const twice = (numerator % denominator) * 2n;
  return twice > denominator || (twice === denominator && quotient % 2n === 1n) ? quotient + 1n : quotient;
}

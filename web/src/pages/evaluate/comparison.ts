/** The API's comparison of two runs over the same items, and how to say it. Pure functions. */
import type { Estimate } from "../lab";

export interface Flipped {
  run_a_item_id: string;
  run_b_item_id: string;
  now: "pass" | "fail";
}

interface PassRate {
  pass_rate: number | null;
  interval: Estimate["interval"];
  n: number;
}

export interface Verdict {
  testing_criteria: string;
  n: number;
  run_a: PassRate;
  run_b: PassRate;
  /** b minus a. */
  difference: Estimate;
  mcnemar_p: number | null;
  agreement: { both_passed: number; only_a: number; only_b: number; both_failed: number; share: number | null };
  flipped: Flipped[];
  flipped_total: number;
  score_difference?: Estimate;
}

interface Side {
  id: string;
  name: string;
  model: string;
  unpaired_items: number;
}

export interface Comparison {
  run_a: Side;
  run_b: Side;
  paired_items: number;
  errored_pairs: number;
  overall: Verdict;
  per_testing_criteria: Verdict[];
}

export type Outcome = "better" | "worse" | "unclear" | "nothing";

/** Whether b is better than a beyond chance: only when the whole 95 % interval is on one side of zero. */
export function outcomeOf({ n, difference: { interval } }: Verdict): Outcome {
  if (n === 0 || !interval) return "nothing";
  if (interval.low > 0) return "better";
  return interval.high < 0 ? "worse" : "unclear";
}

/** A probability as people read it: never "0". */
export function probabilityText(p: number, language: string): string {
  if (p < 0.001) return `< ${new Intl.NumberFormat(language, { minimumFractionDigits: 3 }).format(0.001)}`;
  return `= ${new Intl.NumberFormat(language, { minimumFractionDigits: 3, maximumFractionDigits: 3 }).format(p)}`;
}

export type PairFilter = "disagree" | "pass" | "fail";

export function flippedBy({ flipped }: Verdict, filter: PairFilter): Flipped[] {
  return filter === "disagree" ? flipped : flipped.filter(({ now }) => now === filter);
}

/** A difference of shares in percentage points, with its sign. */
export function pointsText(difference: number, language: string): string {
  return new Intl.NumberFormat(language, { signDisplay: "exceptZero", maximumFractionDigits: 1 }).format(difference * 100);
}

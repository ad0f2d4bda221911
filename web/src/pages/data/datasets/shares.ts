/** Shares of splits: typed as percents, sent as parts of one that add up exactly. Also names and statistics. */
import type { Version } from "../types";

export interface SplitShare {
  name: string;
  percent: number | null;
}

export const EVERYTHING: SplitShare[] = [{ name: "train", percent: 100 }];
export const TRAIN_AND_TEST: SplitShare[] = [
  { name: "train", percent: 80 },
  { name: "test", percent: 20 },
];

/** Hundredths of a percent are counted, so that 33.4 + 33.3 + 33.3 is 100 and not 99.99999999999999. */
const hundredths = (percent: number | null) => Math.round((percent ?? 0) * 100);

export function totalPercent(shares: readonly SplitShare[]): number {
  return shares.reduce((sum, share) => sum + hundredths(share.percent), 0) / 100;
}

export type SplitProblem = "total" | "name" | "twice" | "share";

/** What the API would refuse, or null. */
export function problemOf(shares: readonly SplitShare[]): SplitProblem | null {
  if (shares.some((share) => !/^[A-Za-z0-9_-]{1,32}$/.test(share.name))) return "name";
  if (new Set(shares.map((share) => share.name)).size < shares.length) return "twice";
  if (shares.some((share) => hundredths(share.percent) <= 0)) return "share";
  return totalPercent(shares) === 100 ? null : "total";
}

export function toRequest(shares: readonly SplitShare[]): Record<string, number> {
  return Object.fromEntries(shares.map((share) => [share.name, hundredths(share.percent) / 10_000]));
}

export function fromVersion(splits: Record<string, number>): SplitShare[] {
  return Object.entries(splits).map(([name, share]) => ({ name, percent: Math.round(share * 10_000) / 100 }));
}

/** A dataset's name for a file: its stem, with only what names may have. */
export function datasetNameOf(filename: string): string {
  const stem = filename.split(/\.(?:jsonl|ndjson|json|csv|tsv|txt|gz)\b/i)[0] ?? "";
  return stem.replace(/[^\p{L}\p{N}_.\- ]/gu, "-").replace(/^[_.\- ]+/, "").slice(0, 64).trimEnd();
}

export interface SplitCount {
  name: string;
  rows: number;
  labels: Record<string, number>;
}

export interface Statistics {
  rows: number;
  /** Most frequent first. */
  labels: [string, number][];
  splits: SplitCount[];
}

/** The API's free-form statistics as numbers that can be shown; what is missing counts as nothing. */
export function statisticsOf(statistics: Version["statistics"]): Statistics {
  const labels = countsOf(statistics.labels);
  const splits = recordOf(statistics.splits);
  return {
    rows: numberOf(statistics.rows),
    labels: Object.entries(labels).sort(([, a], [, b]) => b - a),
    splits: Object.entries(splits).map(([name, value]) => {
      const split = recordOf(value);
      return { name, rows: numberOf(split.rows), labels: countsOf(split.labels) };
    }),
  };
}

const numberOf = (value: unknown) => (typeof value === "number" ? value : 0);
const recordOf = (value: unknown) => (typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {});
const countsOf = (value: unknown) =>
  Object.fromEntries(Object.entries(recordOf(value)).map(([name, count]) => [name, numberOf(count)]));

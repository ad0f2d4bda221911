/** Sums over a report. Pure. Money is never added across currencies. */
import type { CostRow, UsageRow } from "./reports";

export interface UsageTotals {
  requests: number;
  input: number;
  cached: number;
  output: number;
}

export function usageTotals(rows: readonly UsageRow[]): UsageTotals {
  const totals = { requests: 0, input: 0, cached: 0, output: 0 };
  for (const row of rows) {
    totals.requests += row.requests;
    totals.input += row.input;
    totals.cached += row.cached;
    totals.output += row.output;
  }
  return totals;
}

/** Amounts by currency, largest first. */
export function costTotals(rows: readonly CostRow[]): Map<string, bigint> {
  const totals = new Map<string, bigint>();
  for (const { currency, nanos } of rows) {
    if (nanos !== null) totals.set(currency, (totals.get(currency) ?? 0n) + nanos);
  }
  return new Map([...totals].sort(([, a], [, b]) => (a < b ? 1 : a > b ? -1 : 0)));
}

/** Requests whose price nobody knows; only line items say how many. */
export function unpriced(rows: readonly CostRow[]): number {
  return rows.reduce((sum, row) => sum + (row.nanos === null ? (row.requests ?? 0) : 0), 0);
}

export function byGroup<Row extends { group: string }>(rows: readonly Row[]): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const known = groups.get(row.group);
    if (known) known.push(row);
    else groups.set(row.group, [row]);
  }
  return groups;
}

export interface Series {
  /** The group; OTHERS for all that have no colour of their own. */
  group: string;
  /** One value a bucket, in the order of the buckets. */
  values: number[];
}

export const OTHERS = "\u0000others";

/** The largest groups as series over the buckets, the rest together as OTHERS. */
export function seriesOf<Row extends { group: string; start: number }>(
  rows: readonly Row[],
  buckets: readonly number[],
  value: (row: Row) => number,
  most: number,
): Series[] {
  const places = new Map(buckets.map((start, index) => [start, index]));
  const sums = new Map<string, number[]>();
  for (const row of rows) {
    const place = places.get(row.start);
    if (place === undefined) continue;
    const values = sums.get(row.group) ?? buckets.map(() => 0);
    values[place] = (values[place] ?? 0) + value(row);
    sums.set(row.group, values);
  }
  const series = [...sums].map(([group, values]) => ({ group, values }));
  const found = series.filter(({ values }) => total(values) > 0).sort((a, b) => total(b.values) - total(a.values));
  if (found.length <= most) return found;
  const rest = found.slice(most - 1);
  const others = buckets.map((_, index) => rest.reduce((sum, { values }) => sum + (values[index] ?? 0), 0));
  return [...found.slice(0, most - 1), { group: OTHERS, values: others }];
}

const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);

/** Round numbers from 0 to just above `most`, for an axis with about four lines. */
export function ticksOf(most: number): number[] {
  if (!(most > 0)) return [0, 1];
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, index) => index * step);
}

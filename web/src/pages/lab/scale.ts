/** Axes of charts: which numbers to write beside them, and where a value lies. Pure functions. */

export interface Point {
  x: number;
  y: number;
}

export interface Series {
  key: string;
  name: string;
  /** By rising x. */
  points: readonly Point[];
}

export type Domain = readonly [low: number, high: number];

/** The span of the values with some air; never empty, so that one value or equal values can be drawn as well. */
export function domainOf(values: Iterable<number>, air = 0.05): Domain {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return [0, 1];
  const margin = (high - low) * air || Math.abs(high) * air || 0.5;
  return [low - margin, high + margin];
}

/** Cuts a domain to what is possible, such as 0 to 1 for shares. */
export function within([low, high]: Domain, least: number, most: number): Domain {
  return [Math.max(low, least), Math.min(high, most)];
}

/** About `count` round numbers inside the domain. */
export function ticksOf([low, high]: Domain, count = 5): number[] {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  // multiples, not sums: 0.1 + 0.2 is not 0.3
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

export function scaleOf([low, high]: Domain, from: number, to: number): (value: number) => number {
  return (value) => from + ((value - low) / (high - low || 1)) * (to - from);
}

/** Every x that any series has, rising. */
export function positionsOf(series: readonly Series[]): number[] {
  return [...new Set(series.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) => a - b);
}

/** What a series says at x: its last value up to there. */
export function valueAt({ points }: Series, x: number): Point | null {
  let [from, to] = [0, points.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((points[middle] as Point).x <= x) from = middle + 1;
    else to = middle;
  }
  return points[from - 1] ?? null;
}

/** At most `most` of the positions, evenly, with the first and the last. Those in `keep` stay before others. */
export function thinned(positions: readonly number[], keep: ReadonlySet<number>, most: number): number[] {
  if (positions.length <= most) return [...positions];
  const kept = positions.filter((x) => keep.has(x)).slice(-Math.floor(most / 2));
  const chosen = new Set<number>(kept);
  const others = Math.max(2, most - kept.length);
  for (let index = 0; index < others; index++) {
    chosen.add(positions[Math.round((index * (positions.length - 1)) / (others - 1))] as number);
  }
  return [...chosen].sort((a, b) => a - b);
}

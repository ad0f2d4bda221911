/** The time that is looked at: whole UTC days, as the platform's books and buckets are. */

export const DAY = 86_400;

export interface Period {
  /** Unix seconds, a UTC midnight. */
  start: number;
  /** Exclusive, a UTC midnight. */
  end: number;
}

export const PRESETS = [1, 7, 30, 90] as const;
// the books keep no more for one export
export const MOST_DAYS = 400;

export const dayOf = (unix: number) => Math.floor(unix / DAY) * DAY;

/** The last `days` days, today included. */
export function lastDays(days: number, now: number): Period {
  const end = dayOf(now) + DAY;
  return { start: end - days * DAY, end };
}

export const daysOf = ({ start, end }: Period) => Math.round((end - start) / DAY);

/** Hours for up to two days: finer than a point a day, never more than 48 points. */
export const widthOf = (period: Period): "1h" | "1d" => (daysOf(period) <= 2 ? "1h" : "1d");

/** "2026-11-25", as an input of type date has it. */
export const dateText = (unix: number) => new Date(unix * 1000).toISOString().slice(0, 10);

/** Null for what is no date. */
export function dateOf(text: string): number | null {
  const milliseconds = Date.parse(`${text}T00:00:00Z`);
  return Number.isNaN(milliseconds) ? null : milliseconds / 1000;
}

/** A period from the first to the last day, both included; null when they make none. */
export function between(first: string, last: string): Period | null {
  const [start, end] = [dateOf(first), dateOf(last)];
  if (start === null || end === null || end < start) return null;
  const period = { start, end: end + DAY };
  return daysOf(period) <= MOST_DAYS ? period : null;
}

/** From a job's events to its curves and its log. Pure but for the fetching that is handed in. */
import type { PageFetcher } from "../../api";
import type { Series } from "../lab";
import type { JobEvent } from "./types";

const PAGE = 100;
/** Enough for the longest runs; beyond it the oldest steps are left out. */
export const MOST_EVENTS = 20_000;

/**
 * All events, newest first: what is known already, and the pages that are new since. The first page is always taken
 * whole, because two processes write events and one may be stored a moment after a younger one.
 */
export async function eventsSince(
  known: readonly JobEvent[],
  fetchPage: PageFetcher<JobEvent>,
  signal: AbortSignal,
  most = MOST_EVENTS,
): Promise<JobEvent[]> {
  const seen = new Set(known.map(({ id }) => id));
  const fresh: JobEvent[] = [];
  for (let after: string | undefined; known.length + fresh.length < most; ) {
    const page = await fetchPage({ after, limit: PAGE, signal });
    const more = page.data.filter(({ id }) => !seen.has(id));
    fresh.push(...more);
    if (more.length < page.data.length || !page.has_more || !page.last_id) break;
    after = page.last_id;
  }
  if (fresh.length === 0) return known as JobEvent[];
  return [...fresh, ...known].sort((a, b) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0));
}

const CURVES = {
  loss: ["train_loss", "valid_loss", "full_valid_loss"],
  accuracy: ["train_mean_token_accuracy", "valid_mean_token_accuracy", "full_valid_mean_token_accuracy"],
} as const;

export type CurveKind = keyof typeof CURVES;

/** One series for each measure that the job has, in the order training, validation sample, whole validation. */
export function curvesOf(events: readonly JobEvent[], kind: CurveKind, nameOf: (measure: string) => string): Series[] {
  return CURVES[kind].flatMap((key) => {
    // after a resume a step may be told again: the newest telling counts, and it comes first
    const points = new Map<number, number>();
    for (const { data } of events) {
      const [x, y] = [data?.["step"], data?.[key]];
      if (typeof x === "number" && typeof y === "number" && !points.has(x)) points.set(x, y);
    }
    if (points.size === 0) return [];
    const sorted = [...points].map(([x, y]) => ({ x, y })).sort((a, b) => a.x - b.x);
    return [{ key, name: nameOf(key), points: sorted }];
  });
}

export function messagesOf(events: readonly JobEvent[]): JobEvent[] {
  return events.filter(({ type }) => type === "message");
}

/** Walks through two runs at once. Items meet by their content, because nothing else is the same in both runs. */
import type { Item } from "./types";

export interface Pair {
  a: Item;
  /** Null when the other run has no such item near this place. */
  b: Item | null;
}

export interface Cursors {
  a: string | undefined;
  b: string | undefined;
}

export interface PairPage {
  pairs: Pair[];
  next: Cursors | null;
}

interface Page {
  data: Item[];
  last_id?: string | null;
  has_more?: boolean;
}

/** The k-th item of some content in one run meets the k-th of the same content in the other, as in the API. */
export function paired(a: readonly Item[], b: readonly Item[]): Pair[] {
  const waiting = new Map<string, Item[]>();
  for (const item of b) {
    const key = keyOf(item.datasource_item);
    waiting.set(key, [...(waiting.get(key) ?? []), item]);
  }
  return a.map((item) => ({ a: item, b: waiting.get(keyOf(item.datasource_item))?.shift() ?? null }));
}

export async function lockstep(
  fetchPage: (run: string, after: string | undefined) => Promise<Page>,
  a: string,
  b: string,
  from: Cursors,
): Promise<PairPage> {
  const [left, right] = await Promise.all([fetchPage(a, from.a), fetchPage(b, from.b)]);
  const more = left.has_more && left.last_id;
  return {
    pairs: paired(left.data, right.data),
    next: more ? { a: left.last_id ?? undefined, b: right.last_id ?? from.b } : null,
  };
}

/** The same text for the same content, in whatever order its fields were stored. */
export function keyOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(keyOf).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).sort(([x], [y]) => (x < y ? -1 : x > y ? 1 : 0));
  return `{${fields.map(([name, part]) => `${JSON.stringify(name)}:${keyOf(part)}`).join(",")}}`;
}

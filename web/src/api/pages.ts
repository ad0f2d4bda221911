/** The API's lists: newest or oldest first, continued by the last id. */

export interface ListPage<Item> {
  data: Item[];
  first_id?: string | null;
  last_id?: string | null;
  has_more?: boolean;
}

export interface PageRequest {
  after: string | undefined;
  limit: number;
  signal: AbortSignal;
}

/** Fetches one page of a list. */
export type PageFetcher<Item> = (request: PageRequest) => Promise<ListPage<Item>>;

/** Every item of a list that is known to be short (projects, people), up to `most`. */
export async function allOf<Item>(fetchPage: PageFetcher<Item>, signal: AbortSignal, most = 1000): Promise<Item[]> {
  const items: Item[] = [];
  for (let after: string | undefined; items.length < most; ) {
    const page = await fetchPage({ after, limit: 100, signal });
    items.push(...page.data);
    if (!page.has_more || !page.last_id) break;
    after = page.last_id;
  }
  return items;
}

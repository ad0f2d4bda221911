/** Usage and costs as the API reports them, all pages of a period, in one shape for charts and tables. */
import { api, type Scope } from "../../api";
import { nanosOf } from "./nanos";
import { widthOf, type Period } from "./period";

export const FAMILIES = ["completions", "embeddings", "moderations", "decisions"] as const;
export type Family = (typeof FAMILIES)[number];

/** What the API calls a grouping of the page. Costs know line items, which name a model. */
export const USAGE_GROUP = { model: "model", project: "project_id", key: "api_key_id", user: "user_id" } as const;
export const COST_GROUP = { model: "line_item", project: "project_id", key: "api_key_id", user: "user_id" } as const;

type UsageGroup = (typeof USAGE_GROUP)[keyof typeof USAGE_GROUP];
type CostGroup = (typeof COST_GROUP)[keyof typeof COST_GROUP];

/** One group's usage in one bucket. `group` is the empty text where nothing is named. */
export interface UsageRow {
  start: number;
  group: string;
  requests: number;
  input: number;
  cached: number;
  output: number;
}

/** One group's costs in one bucket and one currency. `nanos` is null where nobody knows the price. */
export interface CostRow {
  start: number;
  group: string;
  currency: string;
  nanos: bigint | null;
  /** Counted when the group is a line item. */
  requests: number | null;
}

export interface Report<Row> {
  /** The starts of all buckets, with and without rows. */
  buckets: number[];
  rows: Row[];
  /** Buckets that may still change. */
  provisional: Set<number>;
}

interface Asked {
  period: Period;
  scope: Scope;
  signal: AbortSignal;
}

const PAGE = { usage: { "1h": 168, "1d": 31 }, costs: { "1h": 168, "1d": 180 } } as const;

interface BucketPage<Result> {
  data: { start_time: number; results: Result[]; provisional?: boolean }[];
  next_page: string | null;
}

async function allBuckets<Result>(fetchPage: (page: string | null) => Promise<BucketPage<Result>>) {
  const buckets: BucketPage<Result>["data"] = [];
  for (let page: string | null = null; ; ) {
    const answer: BucketPage<Result> = await fetchPage(page);
    buckets.push(...answer.data);
    if (answer.next_page === null) return buckets;
    page = answer.next_page;
  }
}

/** Usage of one family, or of all that generate, embed, moderate and decide, added up. */
export async function usageReport(families: readonly Family[], group: UsageGroup, asked: Asked): Promise<Report<UsageRow>> {
  const reports = await Promise.all(families.map((family) => familyReport(family, group, asked)));
  return {
    buckets: reports[0]?.buckets ?? [],
    rows: reports.flatMap((report) => report.rows),
    provisional: new Set(),
  };
}

async function familyReport(family: Family, group: UsageGroup, { period, scope, signal }: Asked): Promise<Report<UsageRow>> {
  const width = widthOf(period);
  const buckets = await allBuckets((page) => {
    const query = {
      start_time: period.start,
      end_time: period.end,
      bucket_width: width,
      limit: PAGE.usage[width],
      "group_by[]": [group],
      ...(page !== null && { page }),
    };
    return api.get(`/v1/organization/usage/${family}`, { query, scope, signal });
  });
  return {
    buckets: buckets.map((bucket) => bucket.start_time),
    rows: buckets.flatMap((bucket) =>
      bucket.results.map((result) => ({
        start: bucket.start_time,
        group: result[group] ?? "",
        requests: result.num_model_requests,
        input: result.input_tokens,
        cached: result.input_cached_tokens ?? 0,
        output: result.output_tokens ?? 0,
      })),
    ),
    provisional: new Set(),
  };
}

export async function costReport(group: CostGroup, { period, scope, signal }: Asked): Promise<Report<CostRow>> {
  const width = widthOf(period);
  const buckets = await allBuckets((page) => {
    const query = {
      start_time: period.start,
      end_time: period.end,
      bucket_width: width,
      limit: PAGE.costs[width],
      "group_by[]": [group],
      ...(page !== null && { page }),
    };
    return api.get("/v1/organization/costs", { query, scope, signal });
  });
  return {
    buckets: buckets.map((bucket) => bucket.start_time),
    rows: buckets.flatMap((bucket) =>
      bucket.results.map((result) => ({
        start: bucket.start_time,
        group: result[group] ?? "",
        currency: result.amount?.currency.toUpperCase() ?? "",
        nanos: result.amount ? nanosOf(result.amount.value) : null,
        requests: result.quantity ?? null,
      })),
    ),
    provisional: new Set(buckets.filter((bucket) => bucket.provisional).map((bucket) => bucket.start_time)),
  };
}

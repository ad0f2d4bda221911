/** The versions of a route, each with the plan before it, page by page. */
import { api, type PageFetcher, type Wire } from "../../api";
import { planOf, type Plan } from "./plan";

export interface Version {
  id: string;
  number: number;
  action: string;
  restored: number | null;
  changedBy: string;
  createdAt: number;
  /** Null where the route was deleted. */
  plan: Plan | null;
  /** Null where there was none: the first version, or after a deletion. */
  before: Plan | null;
}

type Row = Wire<"RouteVersionObject">;

/** `newest first`, as the API lists them; `older` is the version before the last of them. */
export function versionsOf(rows: readonly Row[], older: Row | undefined): Version[] {
  return rows.map((row, index) => {
    const previous = rows[index + 1] ?? older;
    return {
      id: row.id,
      number: row.version,
      action: row.action,
      restored: row.restored_version,
      changedBy: row.changed_by,
      createdAt: row.created_at,
      plan: row.plan ? planOf(row.plan) : null,
      before: previous?.plan ? planOf(previous.plan) : null,
    };
  });
}

export function historyOf(name: string): PageFetcher<Version> {
  const path = { name };
  return async ({ after, limit, signal }) => {
    const page = await api.get("/api/routes/{name}/history", { path, query: { after, limit }, signal });
    const last = page.data.at(-1);
    // what the last row of this page changed is told by the first row of the next one
    const next = page.has_more && last;
    const older = next
      ? await api.get("/api/routes/{name}/history", { path, query: { after: last.id, limit: 1 }, signal })
      : null;
    return { ...page, data: versionsOf(page.data, older?.data[0]) };
  };
}

/** An audit log object as the API sends it: the details stand under a key named after the type. */

interface Person {
  id?: string | null;
  email?: string | null;
}

export interface Entry {
  id: string;
  type: string;
  effective_at: number;
  actor: {
    type: string;
    session?: { user?: Person };
    api_key?: { id: string; type?: string; user?: Person; service_account?: Person };
  };
  project?: { id: string; name: string | null };
  [detail: string]: unknown;
}

export function actorOf(entry: Entry): string {
  const { session, api_key: key } = entry.actor;
  const person = session?.user ?? key?.user ?? key?.service_account;
  return person?.email ?? person?.id ?? key?.id ?? "–";
}

/** The id that was acted on, and everything else that was noted, one line a value. */
export function detailOf(entry: Entry): { id: string; rest: [string, string][] } {
  const { id, ...rest } = (entry[entry.type] ?? {}) as Record<string, unknown>;
  return { id: typeof id === "string" && id ? id : "–", rest: flat(rest) };
}

/** `{data: {role: "owner"}}` is read more easily as `role owner`. */
function flat(fields: Record<string, unknown>): [string, string][] {
  return Object.entries(fields).flatMap(([name, value]): [string, string][] => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return flat(value as Record<string, unknown>);
    if (value === null || value === undefined) return [];
    return [[name, typeof value === "string" ? value : JSON.stringify(value)]];
  });
}

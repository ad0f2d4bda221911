/** An audit log object as the API sends it: the details stand under a key named after the type. */

interface Person {
  id?: string | null;
  email?: string | null;
}

export interface Entry {
  id: string;
  type: string;
  effective_at: number;
  actor: { type: string; api_key?: { id: string; type?: string; user?: Person; service_account?: Person } };
  project?: { id: string; name: string | null };
  [detail: string]: unknown;
}

export function actorOf(entry: Entry): string {
  const key = entry.actor.api_key;
  const person = key?.user ?? key?.service_account;
  return person?.email ?? person?.id ?? key?.id ?? "–";
}

/** The id that was acted on, and everything else that was noted. */
export function detailOf(entry: Entry): { id: string; rest: [string, string][] } {
  const { id, ...rest } = (entry[entry.type] ?? {}) as Record<string, unknown>;
  const shown = Object.entries(rest).map(([name, value]): [string, string] => [
    name,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  return { id: typeof id === "string" && id ? id : "–", rest: shown };
}

/** What in this project uses a base model: the API deletes it all the same, so a person should know before. */
import { allOf, api, type PageRequest } from "../../api";

export interface Dependants {
  deployments: string[];
  versions: string[];
  names: string[];
  routes: string[];
  jobs: string[];
}

const ENDED = new Set(["succeeded", "failed", "cancelled"]);

export async function dependantsOf(
  id: string,
  may: (...needs: string[]) => boolean,
  signal: AbortSignal,
): Promise<Dependants> {
  const serving = may("serving:read");
  const [deployments, versions, names, routes, jobs] = await Promise.all([
    serving ? allOf((page) => api.get("/api/deployments", asked(page)), signal) : [],
    allOf((page) => api.get("/api/versions", asked(page)), signal),
    api.get("/api/aliases", { signal }).then((page) => page.data),
    serving ? allOf((page) => api.get("/api/routes", asked(page)), signal) : [],
    may("tuning:read") ? allOf((page) => api.get("/v1/fine_tuning/jobs", asked(page)), signal, 300) : [],
  ]);
  return {
    deployments: deployments.filter((item) => item.base === id && item.status !== "stopped").map((item) => item.id),
    versions: versions.filter((item) => item.base === id && item.deleted_at === null).map((item) => item.id),
    names: names.filter((item) => item.target === id).map((item) => item.name),
    routes: routes.filter((item) => mentions(item, id)).map((item) => item.name),
    jobs: jobs.filter((item) => item.model === id && !ENDED.has(item.status)).map((item) => item.id),
  };
}

function asked({ after, limit, signal }: PageRequest) {
  return { query: { after: after ?? null, limit }, signal };
}

/** Whether a plan names the model anywhere as a target (`model`, `first` and lists of fallbacks). */
export function mentions(plan: unknown, id: string): boolean {
  if (typeof plan === "string") return plan === id;
  if (Array.isArray(plan)) return plan.some((item) => mentions(item, id));
  if (typeof plan !== "object" || plan === null) return false;
  return Object.entries(plan).some(([field, value]) => field !== "id" && field !== "name" && mentions(value, id));
}

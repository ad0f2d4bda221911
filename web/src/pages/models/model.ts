/** Facts about a base model that are worked out here: its source, where it fits, its price, its last day. */
import type { Wire } from "../../api";

export type BaseModel = Wire<"BaseModelObject">;
export type Price = Wire<"PriceObject">;
export type Check = Wire<"CheckObject">;
export type Capability = "generate" | "embed" | "tune";

/** Key of every query about base models. */
export const BASES = ["base-models"];

export const CAPABILITIES: readonly Capability[] = ["generate", "embed", "tune"];

export type Source =
  | { kind: "package"; distribution: string; module: string; file: string; format: string }
  | { kind: "local"; path: string; format: string }
  | { kind: "hub"; hub: string; repository: string; revision: string; format: string; file: string | null }
  | { kind: "remote"; base_url: string; model: string; egress_allowed: boolean };

/** The API's document leaves a source's fields open; these are the kinds that the catalogue makes. */
export function sourceOf(base: Pick<BaseModel, "source">): Source {
  return base.source as unknown as Source;
}

export type Place = "remote" | "yes" | "later" | "never";

/** Whether something that takes `needed` bytes fits: now, only when memory is freed, or never on this machine. */
function placeOf(fits: boolean, needed: number, total: number): Place {
  if (fits) return "yes";
  return needed > total ? "never" : "later";
}

export function servesHere(base: Pick<BaseModel, "fit" | "source">): Place {
  if (sourceOf(base).kind === "remote") return "remote";
  return placeOf(base.fit.serve, base.fit.serve_bytes, base.fit.total_bytes);
}

/** Null for a model that cannot be tuned at all. */
export function tunesHere(base: Pick<BaseModel, "fit" | "capabilities">): Place | null {
  if (!base.capabilities.includes("tune")) return null;
  return placeOf(base.fit.tune, base.fit.tune_bytes, base.fit.total_bytes);
}

/** The price that is in force: the newest begun one, an organization's own before the installation's. */
export function priceOf(prices: readonly Price[], model: string, nowSeconds: number): Price | null {
  const begun = prices.filter((price) => price.model === model && price.effective_from <= nowSeconds);
  const own = begun.filter((price) => !price.shared);
  const candidates = own.length > 0 ? own : begun;
  return candidates.reduce<Price | null>(
    (newest, price) => (newest === null || price.effective_from >= newest.effective_from ? price : newest),
    null,
  );
}

export type Ending = "none" | "announced" | "soon" | "over";

const SOON_DAYS = 90;
const DAY_MS = 86_400_000;

/** How near a shutdown date (YYYY-MM-DD, the last day of service, UTC) is. */
export function endingOf(date: string | null, now: number): Ending {
  if (date === null) return "none";
  const end = Date.parse(`${date}T00:00:00Z`) + DAY_MS;
  if (end <= now) return "over";
  return end - now <= SOON_DAYS * DAY_MS ? "soon" : "announced";
}

/** "135 M", "7.2 B" as people in the field write parameter counts. */
export function parametersText(parameters: number, language: string): string {
  return new Intl.NumberFormat(language, { notation: "compact", maximumSignificantDigits: 3 }).format(parameters);
}

export interface Filter {
  text: string;
  capability: Capability | null;
}

export function matches(base: BaseModel, { text, capability }: Filter): boolean {
  if (capability && !base.capabilities.includes(capability)) return false;
  const wanted = text.trim().toLowerCase();
  const searched = [base.id, base.owned_by, base.licence, ...Object.values(base.display_name), ...base.languages];
  return wanted === "" || searched.some((part) => part.toLowerCase().includes(wanted));
}

/** Entries of the organization are changed in its name, a project's own in the project's. */
export function scopeOf(base: Pick<BaseModel, "scope">): "project" | "organization" {
  return base.scope === "organization" ? "organization" : "project";
}

/** A route's plan as the editor holds it: every field there, so that saving replaces the whole plan knowingly. */
import type { Wire } from "../../api";

export const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
export type Day = (typeof DAYS)[number];
export const STICKY = ["none", "user", "conversation"] as const;
export type Sticky = (typeof STICKY)[number];
export const SIGNALS = ["mean_token_probability", "min_token_probability"] as const;
export type Signal = (typeof SIGNALS)[number];
export const DATA_CLASSES = ["public", "internal", "personal", "secret"] as const;
export type DataClass = (typeof DATA_CLASSES)[number];

export interface Target {
  model: string;
  weight: number;
}

export interface Canary {
  model: string;
  percent: number;
  sticky: Sticky;
}

export interface Mirror {
  model: string;
  percent: number;
}

export interface Cascade {
  first: string;
  threshold: number;
  signal: Signal;
}

export interface Window {
  targets: Target[];
  days: Day[];
  start: string;
  end: string;
  timezone: string;
}

export interface Timeouts {
  connect: number | null;
  first_token: number | null;
  between_tokens: number | null;
  total: number | null;
}

export interface Plan {
  targets: Target[];
  fallbacks: string[];
  canary: Canary | null;
  mirror: Mirror | null;
  cascade: Cascade | null;
  schedule: Window[];
  timeouts: Timeouts;
  retries: number;
  concurrency: number | null;
  queue: number;
  queue_seconds: number;
  hedge_seconds: number | null;
  stay_on_machine: boolean;
  privacy_policy: string | null;
  data_class: DataClass | null;
}

type Sent = Omit<Wire<"RouteRequest">, "expected_version">;

/** A plan from the wire (a route, or a version of one), with the API's defaults for what is left out. */
export function planOf(wire: Sent): Plan {
  return {
    targets: wire.targets.map(targetOf),
    fallbacks: [...(wire.fallbacks ?? [])],
    canary: wire.canary ? { ...wire.canary, sticky: wire.canary.sticky ?? "none" } : null,
    mirror: wire.mirror ? { ...wire.mirror } : null,
    cascade: wire.cascade ? { ...wire.cascade, signal: wire.cascade.signal ?? "mean_token_probability" } : null,
    schedule: (wire.schedule ?? []).map((window) => ({
      targets: window.targets.map(targetOf),
      days: [...(window.days ?? DAYS)],
      start: window.start ?? "00:00",
      end: window.end ?? "24:00",
      timezone: window.timezone ?? "UTC",
    })),
    timeouts: {
      connect: wire.timeouts?.connect ?? null,
      first_token: wire.timeouts?.first_token ?? null,
      between_tokens: wire.timeouts?.between_tokens ?? null,
      total: wire.timeouts?.total ?? null,
    },
    retries: wire.retries ?? 2,
    concurrency: wire.concurrency ?? null,
    queue: wire.queue ?? 100,
    queue_seconds: wire.queue_seconds ?? 30,
    hedge_seconds: wire.hedge_seconds ?? null,
    stay_on_machine: wire.stay_on_machine ?? false,
    privacy_policy: wire.privacy_policy ?? null,
    data_class: wire.data_class ?? null,
  };
}

function targetOf(target: { model: string; weight?: number }): Target {
  return { model: target.model, weight: target.weight ?? 1 };
}

export function emptyPlan(): Plan {
  return planOf({ targets: [{ model: "", weight: 100 }] });
}

export function emptyWindow(timezone: string): Window {
  return { targets: [{ model: "", weight: 100 }], days: DAYS.slice(0, 5), start: "08:00", end: "18:00", timezone };
}

/** Every model that the plan names, each once. */
export function modelsOf(plan: Plan): string[] {
  const named = [
    ...plan.targets.map((target) => target.model),
    ...plan.fallbacks,
    plan.canary?.model,
    plan.mirror?.model,
    plan.cascade?.first,
    ...plan.schedule.flatMap((window) => window.targets.map((target) => target.model)),
  ];
  return [...new Set(named)].filter((model): model is string => Boolean(model));
}

/** Whether something that was stored by an older console can still be edited. */
export function isPlan(value: unknown): value is Plan {
  if (typeof value !== "object" || value === null) return false;
  const known: Record<string, unknown> = { ...value };
  return Object.keys(emptyPlan()).every((field) => field in known) && Array.isArray(known["targets"]);
}

/** What is kept in the tab until it is saved. `version` is the one that the change was made from. */
export interface Draft {
  version: number;
  plan: Plan;
}

export function draftOf(stored: unknown): Draft | null {
  if (typeof stored !== "object" || stored === null) return null;
  const { version, plan } = stored as Partial<Draft>;
  return typeof version === "number" && isPlan(plan) ? { version, plan } : null;
}

/** What a change of a plan means, line by line, so that a person sees it before and after saving. */
import { DAYS, type Plan, type Target, type Window } from "./plan";
import { sharesOf } from "./shares";

/** One thing that a plan says. `field` names its text, `of` what it is about (a model, the number of a window). */
export interface Line {
  field: string;
  of: string;
  value: string;
}

export interface Difference {
  field: string;
  of: string;
  before: string | null;
  after: string | null;
}

/** How a word of the API is shown, such as the day `mon`. */
export type Word = (kind: "days" | "sticky" | "signals" | "dataClasses", word: string) => string;

const asItIs: Word = (_, word) => word;

export function percentOf(share: number): string {
  return `${share / 10} %`;
}

export function linesOf(plan: Plan, word: Word = asItIs): Line[] {
  const lines: Line[] = shares(plan.targets).map(([model, share]) => line("targets", share, model));
  plan.schedule.forEach((window, index) => lines.push(line("schedule", windowText(window, word), String(index + 1))));
  const { canary, mirror, cascade, timeouts } = plan;
  if (plan.fallbacks.length > 0) lines.push(line("fallbacks", plan.fallbacks.join(" → ")));
  if (canary) lines.push(line("canary", `${canary.model} · ${canary.percent} % · ${word("sticky", canary.sticky)}`));
  if (mirror) lines.push(line("mirror", `${mirror.model} · ${mirror.percent} %`));
  if (cascade) {
    lines.push(line("cascade", `${cascade.first} · < ${cascade.threshold} · ${word("signals", cascade.signal)}`));
  }
  for (const [name, seconds] of Object.entries(timeouts) as [string, number | null][]) {
    if (seconds !== null) lines.push(line(`timeouts.${name}`, `${seconds} s`));
  }
  lines.push(line("retries", String(plan.retries)));
  if (plan.concurrency !== null) lines.push(line("concurrency", String(plan.concurrency)));
  lines.push(line("queue", String(plan.queue)), line("queue_seconds", `${plan.queue_seconds} s`));
  if (plan.hedge_seconds !== null) lines.push(line("hedge_seconds", `${plan.hedge_seconds} s`));
  if (plan.stay_on_machine) lines.push(line("stay_on_machine", "✓"));
  if (plan.privacy_policy !== null) lines.push(line("privacy_policy", plan.privacy_policy));
  if (plan.data_class !== null) lines.push(line("data_class", word("dataClasses", plan.data_class)));
  return lines;
}

/** Null for a plan that is not there: the route was deleted, or did not exist yet. */
export function differencesOf(before: Plan | null, after: Plan | null, word: Word = asItIs): Difference[] {
  const old = before ? linesOf(before, word) : [];
  const fresh = after ? linesOf(after, word) : [];
  const known = new Map(old.map((entry) => [keyOf(entry), entry.value]));
  const now = new Set(fresh.map(keyOf));
  const gone = old.filter((entry) => !now.has(keyOf(entry)));
  return [
    ...fresh
      .filter((entry) => known.get(keyOf(entry)) !== entry.value)
      .map(({ field, of, value }) => ({ field, of, before: known.get(keyOf({ field, of })) ?? null, after: value })),
    ...gone.map(({ field, of, value }) => ({ field, of, before: value, after: null })),
  ];
}

const keyOf = ({ field, of }: { field: string; of: string }) => `${field}\n${of}`;
const line = (field: string, value: string, of = ""): Line => ({ field, of, value });

function shares(targets: readonly Target[]): [string, string][] {
  const parts = sharesOf(targets.map((target) => target.weight));
  return targets.map((target, index) => [target.model, percentOf(parts[index] ?? 0)]);
}

function windowText(window: Window, word: Word): string {
  const days = DAYS.filter((day) => window.days.includes(day)).map((day) => word("days", day));
  const targets = shares(window.targets).map(([model, share]) => `${model} ${share}`);
  return `${days.join(" ")} ${window.start}–${window.end} ${window.timezone}: ${targets.join(", ")}`;
}

/** Usage and costs of each group in one line. */
import type { CostRow, UsageRow } from "./reports";
import { byGroup, costTotals, unpriced, usageTotals, type UsageTotals } from "./totals";
import type { Grouping } from "./view";

export interface Entry extends UsageTotals {
  group: string;
  costs: Map<string, bigint>;
  unpriced: number;
  /** False where only costs are known: usage stands under the name that was asked, costs under who answered. */
  counted: boolean;
}

const IDLE = "idle: ";

/**
 * The model of a cost's line item ("remote: gpt", "local: base"). Idle time of a pool is nobody's and keeps its name.
 */
export function modelOf(lineItem: string): string {
  if (lineItem.startsWith(IDLE)) return lineItem;
  const colon = lineItem.indexOf(": ");
  return colon < 0 ? lineItem : lineItem.slice(colon + 2);
}

/** The pool whose idle time a group is; null for models. */
export const idlePoolOf = (group: string) => (group.startsWith(IDLE) ? group.slice(IDLE.length) : null);

/** Line items as the models that they name, where the page groups by model. */
export function ofModels(costs: readonly CostRow[], grouping: Grouping): CostRow[] {
  return grouping === "model" ? costs.map((row) => ({ ...row, group: modelOf(row.group) })) : [...costs];
}

export function entriesOf(usage: readonly UsageRow[], costs: readonly CostRow[], grouping: Grouping): Entry[] {
  const used = byGroup(usage);
  const paid = byGroup(ofModels(costs, grouping));
  const groups = new Set([...used.keys(), ...paid.keys()]);
  const entries = [...groups].map((group) => {
    const rows = paid.get(group) ?? [];
    const asked = used.get(group);
    const totals = usageTotals(asked ?? []);
    if (!asked) totals.requests = rows.reduce((sum, row) => sum + (row.requests ?? 0), 0);
    return { group, ...totals, costs: costTotals(rows), unpriced: unpriced(rows), counted: asked !== undefined };
  });
  return entries.sort((a, b) => compare(largest(b), largest(a)) || b.requests - a.requests);
}

const largest = ({ costs }: Entry) => [...costs.values()].reduce((most, nanos) => (nanos > most ? nanos : most), 0n);
const compare = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0);

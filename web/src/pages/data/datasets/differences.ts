/** Two versions' counts side by side; what is in neither is left out, what changed comes first. */
import type { Version } from "../types";
import { statisticsOf } from "./shares";

export interface Difference {
  kind: "rows" | "split" | "label";
  name: string;
  before: number;
  after: number;
}

type Counted = Pick<Version, "statistics">;

export function differences(before: Counted, after: Counted): Difference[] {
  const [one, two] = [statisticsOf(before.statistics), statisticsOf(after.statistics)];
  const counts = (kind: Difference["kind"], old: Map<string, number>, now: Map<string, number>): Difference[] =>
    [...new Set([...old.keys(), ...now.keys()])].map((name) => ({
      kind,
      name,
      before: old.get(name) ?? 0,
      after: now.get(name) ?? 0,
    }));
  const splits = (statistics: typeof one) => new Map(statistics.splits.map((split) => [split.name, split.rows]));
  const labels = counts("label", new Map(one.labels), new Map(two.labels));
  return [
    { kind: "rows", name: "", before: one.rows, after: two.rows },
    ...counts("split", splits(one), splits(two)),
    ...labels.sort((a, b) => Math.abs(b.after - b.before) - Math.abs(a.after - a.before)),
  ];
}

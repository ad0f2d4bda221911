/** Which evaluation results belong to the names that clients call. */
import type { Wire } from "../../api";

export interface Estimate {
  value: number | null;
  interval: { low: number; high: number } | null;
  n: number;
}

export interface Measured {
  name: string;
  target: string;
  /** The newest finished run of each evaluation, newest first. */
  results: { run: Wire<"RunObject">; evalName: string; passRate: Estimate }[];
}

/** For every name in use: the newest finished run of each evaluation that asked this name or what it stands for. */
export function measuredNames(
  aliases: readonly Wire<"AliasObject">[],
  runs: readonly { run: Wire<"RunObject">; evalName: string }[],
): Measured[] {
  return aliases.map(({ name, target }) => {
    const newest = new Map<string, { run: Wire<"RunObject">; evalName: string }>();
    for (const entry of runs) {
      if (entry.run.status !== "completed" || ![name, target].includes(entry.run.model)) continue;
      const before = newest.get(entry.run.eval_id);
      if (!before || before.run.created_at < entry.run.created_at) newest.set(entry.run.eval_id, entry);
    }
    const results = [...newest.values()]
      .sort((a, b) => b.run.created_at - a.run.created_at)
      .map((entry) => ({ ...entry, passRate: entry.run.pass_rate as unknown as Estimate }));
    return { name, target, results };
  });
}

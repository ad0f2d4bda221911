/** The parity report as the API writes it: does the deployed version answer as the trained checkpoint did? */
import type { Estimate } from "../lab";

export interface Differing {
  index: number;
  prompt: string;
  expected: string;
  actual: string;
}

export interface ParityReport {
  agreement: Estimate;
  prompts: number;
  errored: number;
  differing: Differing[];
  differing_total: number;
}

/** Null for a report in another form (an older platform's): it is shown as it is. */
export function parityOf(report: Record<string, unknown>): ParityReport | null {
  const agreement = report["agreement"] as Partial<Estimate> | undefined;
  const differing = report["differing"];
  if (typeof agreement !== "object" || typeof agreement.n !== "number" || !Array.isArray(differing)) return null;
  return {
    agreement: { value: agreement.value ?? null, interval: agreement.interval ?? null, n: agreement.n },
    prompts: Number(report["prompts"] ?? agreement.n),
    errored: Number(report["errored"] ?? 0),
    differing: (differing as Record<string, unknown>[]).map((entry) => ({
      index: Number(entry["index"]),
      prompt: textOf(entry["prompt"]),
      expected: textOf(entry["expected"]),
      actual: textOf(entry["actual"]),
    })),
    differing_total: Number(report["differing_total"] ?? differing.length),
  };
}

/** A prompt may be a text or a list of messages. */
function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return value === undefined ? "" : JSON.stringify(value);
  return value
    .map((message: { role?: unknown; content?: unknown }) => `${String(message.role)}: ${textOf(message.content)}`)
    .join("\n");
}

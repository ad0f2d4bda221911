import type { Wire } from "../../api";
import type { Estimate } from "../lab";

export type Eval = Wire<"EvalObject">;
export type Run = Wire<"RunObject">;
export type Item = Wire<"OutputItemObject">;

export const EVALS_KEY = ["evals"];

/** The API's documents leave these open; this is what they hold. */
export interface Result {
  name: string;
  passed: boolean;
  score: number;
  error?: { code: string; message: string } | null;
}

export interface Message {
  role: string;
  content: string;
}

export interface Sample {
  input?: Message[];
  output?: Message[];
  error?: { code: string; message: string } | null;
  latency_seconds?: number | null;
}

/** Of what the API calls a pass rate or a difference. */
export function estimateOf(value: unknown, name = "value"): Estimate {
  const given = (value ?? {}) as Record<string, unknown>;
  return {
    value: typeof given[name] === "number" ? given[name] : null,
    interval: (given["interval"] as Estimate["interval"] | undefined) ?? null,
    n: Number(given["n"] ?? 0),
  };
}

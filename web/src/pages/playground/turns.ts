/** A conversation and what each answer took. Pure. */
import type { Wire } from "../../api";
import { modelsOf, planOf, type Plan } from "../deploy/plan";
import type { Message, Usage } from "./completion";

export interface Readout {
  state: "running" | "done" | "stopped" | "failed";
  /** The name that was asked: a model, or a route that stands for several. */
  model: string;
  firstMs: number | null;
  totalMs: number | null;
  usage: Usage | null;
  finish: string | null;
  /** Unix seconds. */
  at: number;
}

export interface Turn {
  role: "user" | "assistant";
  content: string;
  readout?: Readout;
}

/** The conversation as it is sent. An answer that never began is no part of it. */
export function messagesOf(turns: readonly Turn[]): Message[] {
  return turns.filter((turn) => turn.content !== "").map(({ role, content }) => ({ role, content }));
}

export function turnsOf(stored: unknown): Turn[] {
  if (!Array.isArray(stored)) return [];
  return (stored as Turn[])
    .filter((turn) => typeof turn.content === "string")
    .map((turn) =>
      // it ran when the page was closed
      turn.readout?.state === "running" ? { ...turn, readout: { ...turn.readout, state: "stopped" } } : turn,
    );
}

/** Tokens a second after the first one; null for answers too short to measure. */
export function speedOf({ usage, firstMs, totalMs }: Readout): number | null {
  if (!usage || firstMs === null || totalMs === null) return null;
  const tokens = usage.completion_tokens - 1;
  const seconds = (totalMs - firstMs) / 1000;
  return tokens > 0 && seconds > 0.05 ? tokens / seconds : null;
}

/**
 * The model that answered for a name. The gateway answers in the name that was asked, so behind a route that
 * leads to several models nobody can tell here: null.
 */
export function answering(
  name: string,
  models: readonly Pick<Wire<"ModelObject">, "id" | "target">[],
  routes: readonly Wire<"RouteObject">[],
): string | null {
  const route = routes.find((known) => known.name === name);
  const named = route ? [...new Set(answerersOf(planOf(route)))] : [name];
  const [only] = named;
  if (only === undefined || named.length > 1) return null;
  // the list shows a routed name with the model behind it
  return models.find((model) => model.id === only)?.target ?? only;
}

/** A mirror's answers are never returned. */
const answerersOf = (plan: Plan) => modelsOf({ ...plan, mirror: null });

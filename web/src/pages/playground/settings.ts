/** What is asked, and how: kept in the tab, so that a reload loses nothing. */
import type { Message, Request } from "./completion";

export interface Parameters {
  temperature: number | null;
  top_p: number | null;
  max_tokens: number | null;
  seed: number | null;
}

export interface Settings extends Parameters {
  system: string;
  /** One or two. */
  models: string[];
  question: string;
}

export const FRESH: Settings = {
  system: "",
  models: [""],
  question: "",
  temperature: null,
  top_p: null,
  max_tokens: null,
  seed: null,
};

export function settingsOf(stored: unknown): Settings | null {
  if (typeof stored !== "object" || stored === null) return null;
  const settings = { ...FRESH, ...(stored as Partial<Settings>) };
  const sound = Array.isArray(settings.models) && settings.models.length >= 1 && settings.models.length <= 2;
  return sound && typeof settings.system === "string" && typeof settings.question === "string" ? settings : null;
}

/** What is not set is not sent: the model's own defaults hold. */
export function requestOf(settings: Settings, model: string, turns: readonly Message[]): Request {
  const { system, temperature, top_p, max_tokens, seed } = settings;
  const messages: Message[] = system.trim() ? [{ role: "system", content: system }, ...turns] : [...turns];
  return {
    model,
    messages,
    ...(temperature !== null && { temperature }),
    ...(top_p !== null && { top_p }),
    ...(max_tokens !== null && { max_tokens }),
    ...(seed !== null && { seed }),
  };
}

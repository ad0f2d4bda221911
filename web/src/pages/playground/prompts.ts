/**
 * System prompts with their versions, kept in this browser for one person and project. Pure functions over a list;
 * `load` and `store` are the only ones that touch the storage.
 */

export interface PromptVersion {
  number: number;
  text: string;
  /** Unix seconds. */
  savedAt: number;
}

export interface Prompt {
  name: string;
  /** Newest first; numbers are never used again. */
  versions: PromptVersion[];
}

export const VERSIONS_KEPT = 50;

const keyOf = (owner: string) => `plinth.prompts.${owner}`;

export function load(owner: string): Prompt[] {
  try {
    const stored = JSON.parse(localStorage.getItem(keyOf(owner)) ?? "[]") as unknown;
    return Array.isArray(stored) ? stored.filter(isPrompt) : [];
  } catch {
    return [];
  }
}

/** Throws when the browser's storage is full or switched off: the page says so. */
export function store(owner: string, prompts: readonly Prompt[]): void {
  localStorage.setItem(keyOf(owner), JSON.stringify(prompts));
}

/** A new version, or nothing new when the newest says the same. */
export function saved(prompts: readonly Prompt[], name: string, text: string, now: number): Prompt[] {
  const known = prompts.find((prompt) => prompt.name === name);
  const newest = known?.versions[0];
  if (newest?.text === text) return [...prompts];
  const version = { number: (newest?.number ?? 0) + 1, text, savedAt: Math.floor(now) };
  const prompt = { name, versions: [version, ...(known?.versions ?? [])].slice(0, VERSIONS_KEPT) };
  return [...prompts.filter((other) => other.name !== name), prompt].sort((a, b) => a.name.localeCompare(b.name));
}

export function without(prompts: readonly Prompt[], name: string): Prompt[] {
  return prompts.filter((prompt) => prompt.name !== name);
}

function isPrompt(value: unknown): value is Prompt {
  const { name, versions } = (value ?? {}) as Partial<Prompt>;
  return typeof name === "string" && Array.isArray(versions) && versions.length > 0;
}

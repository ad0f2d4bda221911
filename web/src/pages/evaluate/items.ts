/** Rows of a dataset as the items of an evaluation, and what to show of an item. Pure functions. */
import type { Item, Message, Result, Sample } from "./types";

export interface EvalItem {
  messages: Message[];
  reference: string;
}

export interface Prepared {
  items: EvalItem[];
  /** Rows without an answer to hold the model's against. */
  skipped: number;
}

/** A chat row's last message is the answer that is expected; those before it are the question. */
export function itemsOf(chatLines: string): Prepared {
  const items: EvalItem[] = [];
  let skipped = 0;
  for (const line of chatLines.split("\n")) {
    if (!line.trim()) continue;
    const { messages } = JSON.parse(line) as { messages?: Message[] };
    const last = messages?.at(-1);
    if (messages && messages.length > 1 && last?.role === "assistant" && typeof last.content === "string") {
      items.push({ messages: messages.slice(0, -1), reference: last.content });
    } else skipped++;
  }
  return { items, skipped };
}

export function linesOf(items: readonly EvalItem[]): string {
  return items.map((item) => `${JSON.stringify({ item })}\n`).join("");
}

// as the API's own rule for "a fixed set of answers": at most a third as many as rows
const MOST_LABELS = 2000;

/** The answers, if they look like a fixed set of labels; else none. In the order of the alphabet. */
export function labelsOf(items: readonly EvalItem[]): string[] {
  const labels = [...new Set(items.map(({ reference }) => reference))];
  const fixed = labels.length >= 2 && labels.length <= Math.min(MOST_LABELS, Math.max(2, Math.floor(items.length / 3)));
  return fixed ? labels.sort() : [];
}

export const sampleOf = (item: Item): Sample => item.sample;
export const resultsOf = (item: Item): Result[] => item.results as unknown as Result[];
export const answerOf = (item: Item): string => sampleOf(item).output?.[0]?.content ?? "";

const QUESTIONS = ["question", "input", "prompt", "text", "query"];

/** What the person asked: the last message that went to the model; in rows that brought their answer, the usual fields. */
export function questionOf(item: Item): string {
  const asked = sampleOf(item).input?.at(-1)?.content;
  const field = QUESTIONS.map((name) => item.datasource_item[name]).find((value) => typeof value === "string");
  return asked ?? (typeof field === "string" ? field : JSON.stringify(item.datasource_item));
}

/** What was expected, found by the template of the first check that names a field of the row. */
export function referenceOf(item: Item, criteria: readonly Record<string, unknown>[]): string {
  for (const { reference } of criteria) {
    const path = typeof reference === "string" ? /^\s*{{\s*item\.([\w.]+)\s*}}\s*$/.exec(reference)?.[1] : undefined;
    if (path === undefined) continue;
    const value = path.split(".").reduce<unknown>((at, name) => (at as Record<string, unknown> | null)?.[name], item.datasource_item);
    if (value !== undefined && value !== null) return typeof value === "string" ? value : JSON.stringify(value);
  }
  return "";
}

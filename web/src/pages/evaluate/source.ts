/** Where a new run takes its rows and its questions from. Pure functions. */
import type { Eval, Run } from "./types";

/** `data_source` of a run, without the model. */
export interface Source {
  type: "completions" | "responses";
  source: { type: "file_id"; id: string } | { type: "file_content"; content: unknown[] };
  input_messages: Record<string, unknown>;
  sampling_params: Record<string, unknown>;
}

// kept in the eval's own metadata, so that every client can read it
export const FILE = "plinth_file";
export const INPUT = "plinth_input";
export const DATA_VERSION = "plinth_dataset_version";
export const SPLIT = "plinth_split";

/** The first answer is expected to be the best one: no chance. */
const SAMPLING = { temperature: 0 };

/** A path such as "item.messages" names the row's own messages; anything else is one question for the user. */
export function inputOf(text: string): Record<string, unknown> {
  return /^item(\.\w+)+$/.test(text)
    ? { type: "item_reference", item_reference: text }
    : { type: "template", template: [{ role: "user", content: text }] };
}

export function sourceOf(fileId: string, input: string): Source {
  return { type: "completions", source: { type: "file_id", id: fileId }, input_messages: inputOf(input), sampling_params: SAMPLING };
}

/** What the eval was made for; null for one that was not made here. */
export function ownSource({ metadata }: Eval): Source | null {
  const [file, input] = [metadata?.[FILE], metadata?.[INPUT]];
  return file && input ? sourceOf(file, input) : null;
}

/** The same rows, questions and settings as a run; null for one that asked no model. */
export function sourceOfRun(run: Run): Source | null {
  const { type } = run.data_source;
  if (type !== "completions" && type !== "responses") return null;
  return Object.fromEntries(Object.entries(run.data_source).filter(([name]) => name !== "model")) as unknown as Source;
}

/** From the form to an evaluation: stores the examples as a file of items, then asks the API for the evaluation. */
import type { RefObject } from "react";
import { addressOf, api, send, upload } from "../../api";
import { itemsOf, labelsOf, linesOf } from "./items";
import { DATA_VERSION, FILE, INPUT, SPLIT } from "./source";
import type { Eval } from "./types";

export interface Draft {
  name: string;
  from: "dataset" | "file";
  dataset?: string;
  version?: string;
  split?: string;
  file?: string;
  question?: string;
  reference?: string;
  check: "string_check" | "label_match";
  operation?: string;
  labels?: string[];
}

/** Items that were stored already, and what they were made of. */
export interface Uploaded {
  made: string;
  fileId: string;
  labels: string[];
}

interface Examples {
  fileId: string;
  /** The path of the messages, or the template of the question. */
  input: string;
  reference: string;
  labels: string[];
  properties: Record<string, unknown>;
  metadata: Record<string, string>;
}

export async function createEval(
  draft: Draft,
  uploaded: RefObject<Uploaded | null>,
  onProgress: (part: number) => void,
): Promise<Eval> {
  const examples = draft.from === "dataset" ? await fromDataset(draft, uploaded, onProgress) : await fromFile(draft);
  return api.post("/v1/evals", {
    body: {
      name: draft.name.trim(),
      data_source_config: {
        type: "custom",
        item_schema: { type: "object", properties: examples.properties, required: Object.keys(examples.properties) },
        include_sample_schema: true,
      },
      testing_criteria: [criterionOf(draft, examples.reference, examples.labels)],
      metadata: { [FILE]: examples.fileId, [INPUT]: examples.input, ...examples.metadata },
    },
  });
}

/** The one check of an evaluation that is made here. Labels that were typed go before those that were found. */
export function criterionOf(draft: Draft, reference: string, found: readonly string[]): Record<string, unknown> {
  const common = { input: "{{sample.output_text}}", reference };
  if (draft.check === "label_match") {
    return { type: "label_match", name: "label", ...common, labels: draft.labels?.length ? draft.labels : [...found] };
  }
  return { type: "string_check", name: "answer", ...common, operation: draft.operation ?? "eq" };
}

async function fromDataset(
  draft: Draft,
  uploaded: RefObject<Uploaded | null>,
  onProgress: (part: number) => void,
): Promise<Examples> {
  const { dataset = "", version = "", split = "" } = draft;
  const made = `${version}/${split}`;
  if (uploaded.current?.made !== made) {
    onProgress(0);
    const address = "/api/dataset_versions/{version_id}/content";
    const response = await send("GET", addressOf(address, { path: { version_id: version }, query: { split, format: "chat" } }));
    const { items } = itemsOf(await response.text());
    const form = new FormData();
    form.append("purpose", "evals");
    form.append("file", new Blob([linesOf(items)], { type: "application/jsonl" }), `${dataset}-${split}.jsonl`);
    const file = await upload<{ id: string }>("/v1/files", form, onProgress);
    uploaded.current = { made, fileId: file.id, labels: labelsOf(items) };
  }
  const { fileId, labels } = uploaded.current;
  return {
    fileId,
    labels,
    input: "item.messages",
    reference: "{{item.reference}}",
    properties: { messages: { type: "array" }, reference: { type: "string" } },
    metadata: { [DATA_VERSION]: version, [SPLIT]: split },
  };
}

async function fromFile({ file = "", question = "", reference = "" }: Draft): Promise<Examples> {
  const item = (await firstItem(file)) ?? {};
  return {
    fileId: file,
    labels: [],
    // a list is a conversation, anything else a text
    input: Array.isArray(item[question]) ? `item.${question}` : `{{item.${question}}}`,
    reference: `{{item.${reference}}}`,
    properties: { [question]: {}, [reference]: {} },
    metadata: {},
  };
}

/** The first row's item; null when the file has none. Reads no more of the file than it needs. */
export async function firstItem(fileId: string, signal?: AbortSignal): Promise<Record<string, unknown> | null> {
  const address = addressOf("/v1/files/{file_id}/content", { path: { file_id: fileId } });
  const response = await send("GET", address, signal ? { signal } : {});
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let ended = false; reader && !ended && !text.trimStart().includes("\n"); ) {
    const { done, value } = await reader.read();
    text += value ?? "";
    ended = done;
  }
  void reader?.cancel();
  return itemOf(text.trim().split("\n")[0] ?? "");
}

export function itemOf(line: string): Record<string, unknown> | null {
  try {
    const { item } = JSON.parse(line) as { item?: unknown };
    return typeof item === "object" && item !== null && !Array.isArray(item) ? (item as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** Names that a template can use. */
export function fieldsOf(item: Record<string, unknown>): string[] {
  return Object.keys(item).filter((name) => /^\w+$/.test(name));
}

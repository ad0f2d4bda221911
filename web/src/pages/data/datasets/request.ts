/** What is typed into the form of a new dataset, and the request it makes. */
import type { DatasetRequest, Format } from "../types";
import { EVERYTHING, toRequest, type SplitShare } from "./shares";

export interface Values {
  name: string;
  file_id: string | null;
  // undefined: cleared again
  format: Format | null | undefined;
  text_column: string | undefined;
  label_column: string | undefined;
  instruction: string | undefined;
  splits: SplitShare[];
  split_seed: number | null;
}

export const EMPTY: Values = {
  name: "",
  file_id: null,
  format: null,
  text_column: "",
  label_column: "",
  instruction: "",
  splits: EVERYTHING,
  split_seed: 0,
};

/** Fields left empty are left out: the API then finds out by itself. */
export function bodyOf(values: Values): DatasetRequest {
  const body: DatasetRequest = {
    name: values.name.trim(),
    file_id: values.file_id ?? "",
    splits: toRequest(values.splits),
    split_seed: values.split_seed ?? 0,
  };
  const textColumn = values.text_column?.trim();
  const labelColumn = values.label_column?.trim();
  if (values.format) body.format = values.format;
  if (textColumn) body.text_column = textColumn;
  if (labelColumn) body.label_column = labelColumn;
  if (values.instruction?.trim()) body.instruction = values.instruction;
  return body;
}

/** Whether both would ask for the same. */
export function isSameRequest(one: Values, two: Values): boolean {
  return JSON.stringify(bodyOf(one)) === JSON.stringify(bodyOf(two));
}

/** Null for what is no draft of this form. */
export function fromDraft(stored: unknown): Values | null {
  if (typeof stored !== "object" || stored === null || !("splits" in stored) || !Array.isArray(stored.splits)) return null;
  return { ...EMPTY, ...(stored as Partial<Values>) };
}

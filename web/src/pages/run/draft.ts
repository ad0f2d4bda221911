/** What is typed and not sent yet survives a reload: it stays in this tab's sessionStorage until it is sent. */
import { useCallback, useState } from "react";
import { useProject, useSignedIn } from "../../app";

const PREFIX = "plinth.draft.";

/** Whose something is that is kept in the browser: nobody sees another person's, or another project's. */
export function useOwner(): string {
  const { user } = useSignedIn();
  return `${user.id}.${useProject()?.id ?? ""}`;
}

/** Null when there is none, or when it cannot be read. */
export function readDraft(key: string): unknown {
  try {
    return JSON.parse(sessionStorage.getItem(PREFIX + key) ?? "null") as unknown;
  } catch {
    return null;
  }
}

/** Null or undefined removes it. */
export function writeDraft(key: string, value: unknown): void {
  try {
    if (value === null || value === undefined) sessionStorage.removeItem(PREFIX + key);
    else sessionStorage.setItem(PREFIX + key, JSON.stringify(value));
  } catch {
    // the storage is full or switched off: the page works, only a reload forgets
  }
}

/**
 * State that is kept under `name` for this person in the chosen project. `read` makes a value of whatever was stored (also by an
 * older console), or answers null when it is no use.
 */
export function useDraft<Value>(
  name: string,
  initial: Value,
  read: (stored: unknown) => Value | null,
): [Value, (next: Value | ((before: Value) => Value)) => void] {
  const key = `${useOwner()}.${name}`;
  const [value, setValue] = useState<Value>(() => read(readDraft(key)) ?? initial);
  const keep = useCallback(
    (next: Value | ((before: Value) => Value)) => {
      setValue((before) => {
        const after = next instanceof Function ? next(before) : next;
        writeDraft(key, after);
        return after;
      });
    },
    [key],
  );
  return [value, keep];
}

/** The state of a plan that is being edited: what the server has, what was changed, and on which version. */
import { useCallback, useMemo, useState } from "react";
import { readDraft, useOwner, writeDraft } from "../run";
import { draftOf, type Draft, type Plan } from "./plan";

export interface Editing {
  plan: Plan;
  change: (change: Partial<Plan>) => void;
  dirty: boolean;
  /** The version that a save expects; 0 for a route that is not there yet. */
  expected: number;
  /** Somebody else saved a newer version while this one was edited. */
  overtaken: boolean;
  /** Goes on editing on top of the newest version. */
  keep: () => void;
  discard: () => void;
}

/** `base` and `version` are what the server has now. */
export function useEditing(name: string, base: Plan, version: number): Editing {
  const key = `${useOwner()}.route.${name}`;
  const [draft, setDraft] = useState<Draft | null>(() => draftOf(readDraft(key)));
  const set = useCallback(
    (next: Draft | null) => {
      writeDraft(key, next);
      setDraft(next);
    },
    [key],
  );
  const untouched = useMemo(() => JSON.stringify(base), [base]);
  const dirty = draft !== null && JSON.stringify(draft.plan) !== untouched;
  const plan = dirty ? draft.plan : base;
  const expected = dirty ? draft.version : version;
  return {
    plan,
    change: (change) => set({ version: expected, plan: { ...plan, ...change } }),
    dirty,
    expected,
    overtaken: dirty && draft.version !== version,
    keep: () => set({ version, plan }),
    discard: () => set(null),
  };
}

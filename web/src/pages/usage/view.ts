/** What the page shows, kept in its address: a reload and a shared link show the same. */
import { useCallback, useMemo } from "react";
import { useSearchParams } from "react-router";
import type { Scope } from "../../api";
import { useMay, useProject } from "../../app";
import { between, dateText, DAY, lastDays, type Period } from "./period";

export const MEASURES = ["cost", "requests", "tokens"] as const;
export type Measure = (typeof MEASURES)[number];
export const GROUPINGS = ["model", "project", "key", "user"] as const;
export type Grouping = (typeof GROUPINGS)[number];

export interface View {
  scope: Scope;
  /** Whether this person may look at the whole organization. */
  mayChoose: boolean;
  period: Period;
  measure: Measure;
  grouping: Grouping;
}

type Change = Partial<Record<"level" | "from" | "to" | "measure" | "by", string>>;

const FIRST_DAYS = 30;

export function useView(): [View, (change: Change) => void] {
  const [query, setQuery] = useSearchParams();
  const mayChoose = useMay()("organization:read");
  const project = useProject();
  const text = query.toString();
  const view = useMemo(() => {
    const asked = new URLSearchParams(text);
    const whole = mayChoose && (asked.get("level") !== "project" || project === null);
    return {
      scope: whole ? ("organization" as const) : ("project" as const),
      mayChoose,
      period: between(asked.get("from") ?? "", asked.get("to") ?? "") ?? lastDays(FIRST_DAYS, Date.now() / 1000),
      measure: oneOf(MEASURES, asked.get("measure")),
      grouping: oneOf(GROUPINGS, asked.get("by")),
    };
  }, [text, mayChoose, project]);
  const change = useCallback(
    (next: Change) =>
      setQuery(
        (before) => {
          for (const [name, value] of Object.entries(next)) before.set(name, value);
          return before;
        },
        { replace: true },
      ),
    [setQuery],
  );
  return [view, change];
}

export function addressOfPeriod(period: Period): { from: string; to: string } {
  return { from: dateText(period.start), to: dateText(period.end - DAY) };
}

function oneOf<Value extends string>(values: readonly [Value, ...Value[]], asked: string | null): Value {
  return values.find((value) => value === asked) ?? values[0];
}

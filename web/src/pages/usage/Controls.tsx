/** Whose usage, which days, seen how. */
import { Button, Flex, Input, Segmented } from "antd";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { useProject, useSignedIn } from "../../app";
import { between, daysOf, lastDays, MOST_DAYS, PRESETS } from "./period";
import { addressOfPeriod, GROUPINGS, MEASURES, type View } from "./view";

interface ControlsProps {
  view: View;
  onChange: (change: Record<string, string>) => void;
  /** Limits and budgets have no days and no groups. */
  onlyLevel?: boolean;
}

export function Controls({ view, onChange, onlyLevel = false }: ControlsProps) {
  const { t } = useTranslation("usage");
  const { organization } = useSignedIn();
  const project = useProject();
  return (
    <Flex gap={16} wrap align="end" className="usage-controls">
      {view.mayChoose && project && (
        <Segmented
          aria-label={t("level")}
          value={view.scope}
          onChange={(level) => onChange({ level })}
          options={[
            { value: "organization", label: t("levels.organization", { name: organization.name }) },
            { value: "project", label: t("levels.project", { name: project.name }) },
          ]}
        />
      )}
      {!onlyLevel && <Shown view={view} onChange={onChange} />}
    </Flex>
  );
}

function Shown({ view, onChange }: ControlsProps) {
  const { t } = useTranslation("usage");
  return (
    <>
      <Days view={view} onChange={onChange} />
      <Segmented
        aria-label={t("measure")}
        value={view.measure}
        onChange={(measure) => onChange({ measure })}
        options={MEASURES.map((value) => ({ value, label: t(`measures.${value}`) }))}
      />
      <Segmented
        aria-label={t("by")}
        value={view.grouping}
        onChange={(by) => onChange({ by })}
        options={GROUPINGS.map((value) => ({ value, label: t(`groupings.${value}`) }))}
      />
    </>
  );
}

function Days({ view, onChange }: ControlsProps) {
  const { t } = useTranslation("usage");
  const id = useId();
  const shown = addressOfPeriod(view.period);
  const [typed, setTyped] = useState(shown);
  const [seen, setSeen] = useState(shown);
  if (seen.from !== shown.from || seen.to !== shown.to) {
    setSeen(shown); // the address changed
    setTyped(shown);
  }
  const wrong = between(typed.from, typed.to) === null;
  const type = (change: Partial<typeof typed>) => {
    const next = { ...typed, ...change };
    setTyped(next);
    if (between(next.from, next.to) !== null) onChange(next);
  };
  const now = Date.now() / 1000;
  return (
    <div>
      <Flex gap={8} align="center" wrap>
        {PRESETS.map((days) => {
          const period = lastDays(days, now);
          const on = period.start === view.period.start && daysOf(period) === daysOf(view.period);
          return (
            <Button key={days} type={on ? "primary" : "default"} aria-pressed={on} onClick={() => onChange(addressOfPeriod(period))}>
              {days === 1 ? t("today") : t("days", { count: days })}
            </Button>
          );
        })}
        <label htmlFor={`${id}-from`}>{t("from")}</label>
        <Input id={`${id}-from`} type="date" className="usage-date" value={typed.from} max={typed.to} onChange={(event) => type({ from: event.target.value })} />
        <label htmlFor={`${id}-to`}>{t("to")}</label>
        <Input id={`${id}-to`} type="date" className="usage-date" value={typed.to} min={typed.from} onChange={(event) => type({ to: event.target.value })} />
        <span className="quiet">UTC</span>
      </Flex>
      {wrong && (
        <div role="alert" className="usage-date-problem">
          {t("badPeriod", { days: MOST_DAYS })}
        </div>
      )}
    </div>
  );
}

/** Loss and accuracy by step. */
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { EmptyState, Section, percentText } from "../../ui";
import { LineChart } from "../lab";
import { curvesOf, MOST_EVENTS, type CurveKind } from "./metrics";
import type { Job, JobEvent } from "./types";

const SHARES = [0, 1] as const;
const LOSSES = [0, Infinity] as const;

export function Curves({ events, job }: { events: readonly JobEvent[]; job: Job }) {
  const { t } = useTranslation("tune");
  return (
    <div className="cards">
      <Curve kind="loss" events={events} />
      <Curve kind="accuracy" events={events} />
      {!job.validation_file && <p className="quiet">{t("curves.noValidation")}</p>}
      {events.length >= MOST_EVENTS && <p className="quiet">{t("curves.cut", { count: MOST_EVENTS })}</p>}
    </div>
  );
}

function Curve({ kind, events }: { kind: CurveKind; events: readonly JobEvent[] }) {
  const { t, i18n } = useTranslation("tune");
  const series = useMemo(() => curvesOf(events, kind, (measure) => t(`curves.${measure}`)), [events, kind, t]);
  const share = kind === "accuracy";
  return (
    <Section title={t(`curves.${kind}`)}>
      {series.length === 0 ? (
        <EmptyState title={t("curves.none")} next={t("curves.noneNext")} />
      ) : (
        <LineChart
          label={t(`curves.${kind}`)}
          xLabel={t("step")}
          series={series}
          bounds={share ? SHARES : LOSSES}
          format={(value) => (share ? percentText(value, i18n.language) : value.toPrecision(3))}
        />
      )}
      <p className="quiet">{t(`curves.${kind}Help`)}</p>
    </Section>
  );
}

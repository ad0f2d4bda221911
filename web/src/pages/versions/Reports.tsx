/** What was found out about a version later. Parity has a view of its own; others are shown as they are. */
import { useTranslation } from "react-i18next";
import { EmptyState, Section, Time } from "../../ui";
import { parityOf } from "./parity";
import { Parity } from "./Parity";
import type { Version } from "./types";

type Report = NonNullable<Version["reports"]>[number];

export function Reports({ reports }: { reports: readonly Report[] }) {
  const { t } = useTranslation("versions");
  if (reports.length === 0) {
    return (
      <Section title={t("reports.title")}>
        <EmptyState title={t("reports.none")} next={t("reports.noneNext")} />
      </Section>
    );
  }
  return [...reports].reverse().map((report) => {
    const parity = report.kind === "parity" ? parityOf(report.report) : null;
    return (
      <Section
        key={report.id}
        title={t(`reports.kinds.${report.kind}`, { defaultValue: report.kind })}
        extra={<Time at={report.created_at} />}
      >
        {parity ? <Parity report={parity} /> : <pre className="scroll">{JSON.stringify(report.report, null, 2)}</pre>}
      </Section>
    );
  });
}

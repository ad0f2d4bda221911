import { useTranslation } from "react-i18next";
import { Interval, percentText } from "../../ui";
import { Difference, IntervalBar } from "../lab";
import type { ParityReport } from "./parity";

const SHARE = [0, 1] as const;

export function Parity({ report }: { report: ParityReport }) {
  const { t, i18n } = useTranslation("versions");
  const { value, interval, n } = report.agreement;
  return (
    <>
      <p>{t("parity.about")}</p>
      {value !== null && (
        <p>
          {t("parity.agreement")} <Interval percent value={value} low={interval?.low} high={interval?.high} n={n} />
          <br />
          <IntervalBar
            label={t("parity.agreement")}
            value={value}
            interval={interval}
            domain={SHARE}
            format={(share) => percentText(share, i18n.language)}
          />
        </p>
      )}
      {report.errored > 0 && <p>{t("parity.errored", { count: report.errored })}</p>}
      {report.differing_total === 0 ? (
        <p>{t("parity.same")}</p>
      ) : (
        <details>
          <summary>{t("parity.differing", { count: report.differing_total, shown: report.differing.length })}</summary>
          {report.differing.map((entry) => (
            <div key={entry.index} className="pair">
              <p className="quote">{entry.prompt}</p>
              <Difference before={entry.expected} after={entry.actual} />
            </div>
          ))}
          <p className="quiet">{t("parity.reading")}</p>
        </details>
      )}
    </>
  );
}

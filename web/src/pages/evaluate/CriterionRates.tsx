/** The pass rate of all checks together and of each, with its interval, as a table with drawings. */
import { useTranslation } from "react-i18next";
import { Interval, numberText, percentText } from "../../ui";
import { IntervalBar, type Estimate } from "../lab";
import { estimateOf, type Run } from "./types";

const SHARE = [0, 1] as const;

interface Row {
  name: string;
  rate: Estimate;
  passed: number;
  failed: number;
  errored: number;
  mean: Estimate | null;
}

function rowsOf(run: Run, all: string): Row[] {
  const { passed, failed, errored } = run.result_counts;
  const rows = run.per_testing_criteria_results.map((entry) => ({
    name: entry.testing_criteria,
    rate: estimateOf(entry, "pass_rate"),
    passed: entry.passed,
    failed: entry.failed,
    errored: entry.errored,
    mean: entry.mean_score ? estimateOf(entry.mean_score) : null,
  }));
  // with one check, all together is the same again
  return rows.length === 1 ? rows : [{ name: all, rate: estimateOf(run.pass_rate), passed, failed, errored, mean: null }, ...rows];
}

export function CriterionRates({ run }: { run: Run }) {
  const { t, i18n } = useTranslation("evaluate");
  const share = (value: number) => percentText(value, i18n.language);
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={t("rates.caption")}>
      <table className="matrix">
        <caption>{t("rates.caption")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("rates.check")}</th>
            <th scope="col">{t("passRate")}</th>
            <th scope="col">
              <span className="unseen">{t("side.drawn")}</span>
            </th>
            {(["pass", "fail", "error"] as const).map((kind) => (
              <th scope="col" key={kind}>
                {t(`items.${kind}`)}
              </th>
            ))}
            <th scope="col">{t("rates.mean")}</th>
          </tr>
        </thead>
        <tbody>
          {rowsOf(run, t("rates.all")).map(({ name, rate, passed, failed, errored, mean }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>
                {rate.value === null ? "–" : <Interval percent value={rate.value} low={rate.interval?.low} high={rate.interval?.high} n={rate.n} />}
              </td>
              <td>
                <IntervalBar label={name} value={rate.value} interval={rate.interval} domain={SHARE} format={share} />
              </td>
              {[passed, failed, errored].map((count, index) => (
                <td key={index}>{numberText(count, i18n.language)}</td>
              ))}
              <td>
                {mean === null || mean.value === null ? "–" : <Interval value={mean.value} low={mean.interval?.low} high={mean.interval?.high} digits={3} />}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What the comparison says: in a sentence, drawn, and in numbers. */
import { CheckCircleOutlined, CloseCircleOutlined, MinusCircleOutlined } from "@ant-design/icons";
import { useTranslation } from "react-i18next";
import { Interval, numberText, percentText } from "../../ui";
import { BarScale, IntervalBar, domainOf, within, type Domain, type Estimate } from "../lab";
import { outcomeOf, pointsText, probabilityText, type Comparison, type Verdict } from "./comparison";
import { estimateOf } from "./types";

const SIGNS = {
  better: <CheckCircleOutlined aria-hidden />,
  worse: <CloseCircleOutlined aria-hidden />,
  unclear: <MinusCircleOutlined aria-hidden />,
  nothing: <MinusCircleOutlined aria-hidden />,
};

export function VerdictView({ found, verdict }: { found: Comparison; verdict: Verdict }) {
  const { t, i18n } = useTranslation("evaluate");
  const outcome = outcomeOf(verdict);
  const { value, interval } = verdict.difference;
  const points = (difference: number) => pointsText(difference, i18n.language);
  return (
    <>
      <p className="verdict">
        {SIGNS[outcome]} <strong>{t(`outcomes.${outcome}`)}</strong>{" "}
        {value !== null &&
          interval &&
          t("compare.difference", { points: points(value), low: points(interval.low), high: points(interval.high) })}
      </p>
      <Rates found={found} verdict={verdict} />
      <div className="cards">
        <Agreement verdict={verdict} />
        <Chance verdict={verdict} />
      </div>
    </>
  );
}

function Rates({ found, verdict }: { found: Comparison; verdict: Verdict }) {
  const { t, i18n } = useTranslation("evaluate");
  const [a, b] = [estimateOf(verdict.run_a, "pass_rate"), estimateOf(verdict.run_b, "pass_rate")];
  const share = (value: number) => percentText(value, i18n.language);
  const points = (value: number) => pointsText(value, i18n.language);
  const ends = (estimates: Estimate[]) => estimates.flatMap(({ interval }) => (interval ? [interval.low, interval.high] : []));
  const rates = within(domainOf(ends([a, b])), 0, 1);
  // zero belongs to the picture of a difference
  const differences = domainOf([...ends([verdict.difference]), 0]);
  const line = (name: string, estimate: Estimate, domain: Domain, percent: boolean) => (
    <tr>
      <th scope="row">{name}</th>
      <td>{estimate.value === null ? "–" : percent ? <Rate estimate={estimate} /> : <Points estimate={estimate} format={points} />}</td>
      <td>
        <IntervalBar
          label={name}
          value={estimate.value}
          interval={estimate.interval}
          domain={domain}
          format={percent ? share : points}
          {...(!percent && { line: 0 })}
        />
      </td>
      <td>
        <BarScale domain={domain} format={percent ? share : points} width={120} />
      </td>
    </tr>
  );
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={t("compare.rates")}>
      <table className="matrix">
        <caption>{t("compare.rates")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("run")}</th>
            <th scope="col">{t("compare.measured")}</th>
            <th scope="col">{t("side.drawn")}</th>
            <th scope="col">{t("compare.scale")}</th>
          </tr>
        </thead>
        <tbody>
          {line(`A · ${found.run_a.name}`, a, rates, true)}
          {line(`B · ${found.run_b.name}`, b, rates, true)}
          {line(t("compare.bMinusA"), verdict.difference, differences, false)}
        </tbody>
      </table>
    </div>
  );
}

function Rate({ estimate: { value, interval, n } }: { estimate: Estimate }) {
  return <Interval percent value={value ?? 0} low={interval?.low} high={interval?.high} n={n} />;
}

function Points({ estimate: { value, interval, n }, format }: { estimate: Estimate; format: (value: number) => string }) {
  const { t } = useTranslation("evaluate");
  return (
    <span className="number">
      <strong>{t("compare.points", { points: format(value ?? 0) })}</strong>{" "}
      {interval && <span className="quiet">{`[${format(interval.low)}, ${format(interval.high)}] n = ${n}`}</span>}
    </span>
  );
}

/** The 2 x 2 table. */
function Agreement({ verdict: { agreement } }: { verdict: Verdict }) {
  const { t, i18n } = useTranslation("evaluate");
  const number = (value: number) => numberText(value, i18n.language);
  return (
    <div>
      <table className="matrix">
        <caption>
          {t("compare.agreement")}
          {agreement.share !== null && <> {t("compare.share", { share: percentText(agreement.share, i18n.language) })}</>}
        </caption>
        <thead>
          <tr>
            <td />
            <th scope="col">{t("compare.bPassed")}</th>
            <th scope="col">{t("compare.bFailed")}</th>
          </tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row">{t("compare.aPassed")}</th>
            <td>{number(agreement.both_passed)}</td>
            <td>
              <strong>{number(agreement.only_a)}</strong>
            </td>
          </tr>
          <tr>
            <th scope="row">{t("compare.aFailed")}</th>
            <td>
              <strong>{number(agreement.only_b)}</strong>
            </td>
            <td>{number(agreement.both_failed)}</td>
          </tr>
        </tbody>
      </table>
    </div>
  );
}

function Chance({ verdict }: { verdict: Verdict }) {
  const { t, i18n } = useTranslation("evaluate");
  const { mcnemar_p: p, score_difference: scores } = verdict;
  return (
    <dl className="facts">
      <div>
        <dt>{t("compare.mcnemar")}</dt>
        <dd>
          {p === null ? "–" : <span className="number">p {probabilityText(p, i18n.language)}</span>}
          <div className="quiet">{t("compare.mcnemarHelp")}</div>
        </dd>
      </div>
      {scores && scores.value !== null && (
        <div>
          <dt>{t("compare.scores")}</dt>
          <dd>
            <Interval value={scores.value} low={scores.interval?.low} high={scores.interval?.high} n={scores.n} digits={3} />
          </dd>
        </div>
      )}
    </dl>
  );
}

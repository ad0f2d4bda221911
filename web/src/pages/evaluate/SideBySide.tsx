/** The newest finished runs on one scale, each with its 95 % interval. */
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { api } from "../../api";
import { Section, Time, percentText } from "../../ui";
import { BarScale, IntervalBar, domainOf, within } from "../lab";
import { PassRate } from "./EvalPage";
import { EVALS_KEY, estimateOf } from "./types";

const SHOWN = 12;

export function SideBySide({ evalId }: { evalId: string }) {
  const { t, i18n } = useTranslation("evaluate");
  const query = useQuery({
    queryKey: [...EVALS_KEY, evalId, "newest"],
    queryFn: ({ signal }) =>
      api.get("/v1/evals/{eval_id}/runs", {
        path: { eval_id: evalId },
        query: { limit: SHOWN, order: "desc", status: "completed" },
        signal,
      }),
  });
  const runs = (query.data?.data ?? []).map((run) => ({ run, rate: estimateOf(run.pass_rate) }));
  if (runs.length === 0) return null; // the table of all runs says what to do
  const ends = runs.flatMap(({ rate }) => (rate.interval ? [rate.interval.low, rate.interval.high] : rate.value === null ? [] : [rate.value]));
  const domain = within(domainOf(ends), 0, 1);
  const format = (value: number) => percentText(value, i18n.language);
  return (
    <Section title={t("side.title")}>
      <div className="scroll">
        <table className="matrix">
          <caption>{t("side.caption")}</caption>
          <thead>
            <tr>
              <th scope="col">{t("run")}</th>
              <th scope="col">{t("model")}</th>
              <th scope="col">{t("passRate")}</th>
              <th scope="col">
                <span className="unseen">{t("side.drawn")}</span>
                <BarScale domain={domain} format={format} />
              </th>
              <th scope="col">{t("finished")}</th>
            </tr>
          </thead>
          <tbody>
            {runs.map(({ run, rate }) => (
              <tr key={run.id}>
                <th scope="row">
                  <Link to={`/evaluate/${evalId}/runs/${run.id}`}>{run.name}</Link>
                </th>
                <td>{run.model}</td>
                <td>
                  <PassRate run={run} />
                </td>
                <td>
                  <IntervalBar label={run.name} value={rate.value} interval={rate.interval} domain={domain} format={format} />
                </td>
                <td>
                  <Time at={run.finished_at} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="quiet">{t("side.help")}</p>
    </Section>
  );
}

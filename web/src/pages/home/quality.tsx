/** How the names that clients call did in their newest evaluations. */
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { api } from "../../api";
import { EmptyState, Interval, Loaded, Section, Time } from "../../ui";
import { measuredNames, type Measured } from "./measured";

const EVALS = 10;
const RUNS = 20;

async function fetchQuality(signal: AbortSignal): Promise<Measured[]> {
  const [aliases, evals] = await Promise.all([
    api.get("/api/aliases", { signal }),
    api.get("/v1/evals", { query: { limit: EVALS, order: "desc", order_by: "updated_at" }, signal }),
  ]);
  const runs = await Promise.all(
    evals.data.map(async ({ id, name }) => {
      const query = { limit: RUNS, order: "desc", status: "completed" } as const;
      const page = await api.get("/v1/evals/{eval_id}/runs", { path: { eval_id: id }, query, signal });
      return page.data.map((run) => ({ run, evalName: name }));
    }),
  );
  return measuredNames(aliases.data, runs.flat());
}

export function Quality() {
  const { t } = useTranslation("home");
  const query = useQuery({ queryKey: ["quality"], queryFn: ({ signal }) => fetchQuality(signal) });
  return (
    <Section title={t("quality.title")}>
      <Loaded query={query}>
        {(names) =>
          names.length === 0 ? (
            <EmptyState title={t("quality.none")} next={t("quality.noneNext")} />
          ) : (
            <ul className="plain">
              {names.map((entry) => (
                <li key={entry.name} className="row">
                  <strong>{entry.name}</strong> <span className="quiet">→ {entry.target}</span>
                  {entry.results.length === 0 && <div className="quiet">{t("quality.notMeasured")}</div>}
                  {entry.results.map(({ run, evalName, passRate }) => (
                    <div key={run.id}>
                      <Link to={`/evaluate/${run.eval_id}/runs/${run.id}`}>{evalName}</Link>{" "}
                      {passRate.value === null ? (
                        <span className="quiet">{t("quality.noItems")}</span>
                      ) : (
                        <Interval
                          percent
                          value={passRate.value}
                          low={passRate.interval?.low}
                          high={passRate.interval?.high}
                          n={passRate.n}
                        />
                      )}{" "}
                      <span className="quiet">
                        <Time at={run.finished_at} />
                      </span>
                    </div>
                  ))}
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Section>
  );
}

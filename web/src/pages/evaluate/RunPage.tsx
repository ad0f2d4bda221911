/** One run: how far it is, what came out per check, what it cost, and every item. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Alert } from "antd";
import { useTranslation } from "react-i18next";
import { Link, useNavigate, useParams } from "react-router";
import { api } from "../../api";
import { useMay } from "../../app";
import { stateOf } from "../../app/jobs/source";
import { ConfirmDanger, JobProgress, Loaded, PageHeader, Section, numberText } from "../../ui";
import { Cost } from "./Cost";
import { CriterionRates } from "./CriterionRates";
import { Items } from "./Items";
import { RunStatus } from "./RunStatus";
import { EVALS_KEY, type Eval, type Run } from "./types";

const LIVE_MS = 2000;

export function RunPage() {
  const { evalId = "", runId = "" } = useParams();
  const { t } = useTranslation("evaluate");
  const parent = useQuery({
    queryKey: [...EVALS_KEY, evalId],
    queryFn: ({ signal }) => api.get("/v1/evals/{eval_id}", { path: { eval_id: evalId }, signal }),
  });
  const run = useQuery({
    queryKey: [...EVALS_KEY, evalId, "runs", "one", runId],
    queryFn: ({ signal }) =>
      api.get("/v1/evals/{eval_id}/runs/{run_id}", { path: { eval_id: evalId, run_id: runId }, signal }),
    refetchInterval: ({ state }) => (state.data && stateOf(state.data.status) === "active" ? LIVE_MS : false),
  });
  return (
    <>
      <PageHeader
        title={run.data ? t("runPage.title", { name: run.data.name }) : t("run")}
        intro={<Link to={`/evaluate/${evalId}`}>{parent.data?.name ?? evalId}</Link>}
        help="docs/evaluation"
        actions={run.data && <Actions run={run.data} />}
      />
      <Loaded query={parent}>{(entry) => <Loaded query={run}>{(found) => <Details entry={entry} run={found} />}</Loaded>}</Loaded>
    </>
  );
}

function Actions({ run }: { run: Run }) {
  const { t } = useTranslation("evaluate");
  const may = useMay()("evals:write");
  const client = useQueryClient();
  const navigate = useNavigate();
  const path = { eval_id: run.eval_id, run_id: run.id };
  const changed = () => client.invalidateQueries({ queryKey: EVALS_KEY });
  if (!may) return null;
  if (stateOf(run.status) === "active") {
    return (
      <ConfirmDanger
        action={t("runPage.cancel")}
        title={t("runPage.cancelTitle")}
        touches={[t("runPage.cancelTouches"), t("runPage.cancelKept")]}
        onConfirm={async () => {
          await api.post("/v1/evals/{eval_id}/runs/{run_id}/cancel", { path });
          await changed();
        }}
      />
    );
  }
  return (
    <ConfirmDanger
      action={t("runPage.delete")}
      title={t("runPage.deleteTitle", { name: run.name })}
      touches={[t("runPage.deleteTouches", { count: run.result_counts.total }), t("runPage.deleteCompare")]}
      onConfirm={async () => {
        await api.delete("/v1/evals/{eval_id}/runs/{run_id}", { path });
        void navigate(`/evaluate/${run.eval_id}`);
        await changed();
      }}
    />
  );
}

function Details({ entry, run }: { entry: Eval; run: Run }) {
  const { t, i18n } = useTranslation("evaluate");
  const { total = 0, finished = 0 } = run.progress;
  const number = (value: number) => numberText(value, i18n.language);
  return (
    <>
      {run.error && <Alert type="error" showIcon role="alert" className="form-error" title={t("runPage.failed")} description={run.error.message} />}
      <Section title={t("runPage.result")} extra={<RunStatus status={run.status} />}>
        {run.status !== "completed" && (
          <JobProgress
            label={run.model}
            state={stateOf(run.status)}
            progress={total > 0 ? finished / total : null}
            detail={t("runPage.progress", { finished: number(finished), total: number(total) })}
          />
        )}
        <CriterionRates run={run} />
        {run.result_counts.errored > 0 && (
          <Alert type="warning" showIcon title={t("runPage.errored", { count: run.result_counts.errored })} />
        )}
      </Section>
      {run.cost && <Cost run={run} />}
      <Items entry={entry} run={run} />
    </>
  );
}

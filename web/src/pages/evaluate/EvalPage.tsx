/** One evaluation: its checks, its runs side by side, all runs, and two of them to compare. */
import { DiffOutlined } from "@ant-design/icons";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Button, Checkbox } from "antd";
import { useCallback, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate, useParams } from "react-router";
import { api } from "../../api";
import { useChanges, useMay } from "../../app";
import { stateOf } from "../../app/jobs/source";
import { EmptyState, Interval, Loaded, PageHeader, Section, ServerTable, Time, percentText } from "../../ui";
import { Checks } from "./EvalList";
import { RunStatus } from "./RunStatus";
import { SideBySide } from "./SideBySide";
import { StartRun } from "./StartRun";
import { EVALS_KEY, estimateOf, type Eval, type Run } from "./types";

const CHANGES = ["evaluation."];
const REFRESH_MS = 5000;

export function EvalPage() {
  const { evalId = "" } = useParams();
  const { t } = useTranslation("evaluate");
  const may = useMay()("evals:write");
  const client = useQueryClient();
  const query = useQuery({
    queryKey: [...EVALS_KEY, evalId],
    queryFn: ({ signal }) => api.get("/v1/evals/{eval_id}", { path: { eval_id: evalId }, signal }),
  });
  useChanges(
    CHANGES,
    useCallback(() => void client.invalidateQueries({ queryKey: EVALS_KEY }), [client]),
  );
  return (
    <>
      <PageHeader
        title={query.data?.name ?? t("title")}
        intro={query.data && <Checks entry={query.data} />}
        help="docs/evaluation"
        actions={query.data && may && <StartRun entry={query.data} />}
      />
      <Loaded query={query}>
        {(entry) => (
          <>
            <SideBySide evalId={entry.id} />
            <Runs entry={entry} />
            <Criteria entry={entry} />
          </>
        )}
      </Loaded>
    </>
  );
}

function Runs({ entry }: { entry: Eval }) {
  const { t, i18n } = useTranslation("evaluate");
  const navigate = useNavigate();
  const [chosen, setChosen] = useState<string[]>([]);
  const toggle = (id: string) =>
    // a third one takes the place of the first
    setChosen((before) => (before.includes(id) ? before.filter((other) => other !== id) : [...before, id].slice(-2)));
  const compare = () => {
    const [a = "", b = ""] = [...chosen].sort(); // ids rise with time: the older run is the one to compare with
    void navigate(`/evaluate/${entry.id}/compare?a=${a}&b=${b}`);
  };
  const share = (run: Run) => {
    const { total = 0, finished = 0 } = run.progress;
    return total > 0 && stateOf(run.status) === "active" ? ` ${percentText(finished / total, i18n.language, 0)}` : "";
  };
  return (
    <Section
      title={t("runs.title")}
      extra={
        <Button icon={<DiffOutlined />} disabled={chosen.length !== 2} title={t("runs.compareHelp")} onClick={compare}>
          {t("runs.compare")}
        </Button>
      }
    >
      <ServerTable<Run>
        label={t("runs.title")}
        queryKey={[...EVALS_KEY, entry.id, "runs"]}
        refreshMilliseconds={REFRESH_MS}
        fetchPage={({ signal, ...query }) =>
          api.get("/v1/evals/{eval_id}/runs", { path: { eval_id: entry.id }, query: { ...query, order: "desc" }, signal })
        }
        rowKey={(run) => run.id}
        empty={<EmptyState title={t("runs.none")} next={t("runs.noneNext")} />}
        columns={[
          {
            key: "choose",
            title: <span className="unseen">{t("runs.choose")}</span>,
            render: (run) => (
              <Checkbox
                aria-label={t("runs.chooseOne", { name: run.name })}
                disabled={run.status !== "completed"}
                checked={chosen.includes(run.id)}
                onChange={() => toggle(run.id)}
              />
            ),
          },
          { key: "name", title: t("run"), render: (run) => <Link to={`/evaluate/${entry.id}/runs/${run.id}`}>{run.name}</Link> },
          { key: "model", title: t("model"), render: (run) => run.model },
          {
            key: "status",
            title: t("status"),
            render: (run) => (
              <>
                <RunStatus status={run.status} />
                {share(run)}
              </>
            ),
          },
          { key: "rate", title: t("passRate"), render: (run) => <PassRate run={run} /> },
          { key: "created", title: t("created"), render: (run) => <Time at={run.created_at} /> },
        ]}
      />
    </Section>
  );
}

export function PassRate({ run }: { run: Run }) {
  const { value, interval, n } = estimateOf(run.pass_rate);
  if (value === null) return <>–</>;
  return <Interval percent value={value} low={interval?.low} high={interval?.high} n={n} />;
}

function Criteria({ entry }: { entry: Eval }) {
  const { t } = useTranslation("evaluate");
  return (
    <Section title={t("criteria.title")}>
      {entry.testing_criteria.map((criterion) => (
        <details key={String(criterion["name"])}>
          <summary>
            {String(criterion["name"])} <span className="quiet">{t(`typeHelp.${String(criterion["type"])}`, { defaultValue: "" })}</span>
          </summary>
          <pre className="scroll">{JSON.stringify(criterion, null, 2)}</pre>
        </details>
      ))}
    </Section>
  );
}

/** One job, live: how far it is, its curves, its log, its checkpoints, and what it made. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Alert } from "antd";
import { useCallback } from "react";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import { api } from "../../api";
import { useChanges } from "../../app";
import { stateOf } from "../../app/jobs/source";
import { JobProgress, Loaded, PageHeader, Section, durationText, numberText } from "../../ui";
import { Actions } from "./Actions";
import { Checkpoints } from "./Checkpoints";
import { Curves } from "./Curves";
import { Facts } from "./Facts";
import { JobStatus } from "./JobStatus";
import { Log } from "./Log";
import { eventsSince } from "./metrics";
import { JOBS_KEY, type Job, type JobEvent } from "./types";

const LIVE_MS = 2000;
const CHANGES = ["tuning."];

export function JobPage() {
  const { jobId = "" } = useParams();
  const { t } = useTranslation("tune");
  const client = useQueryClient();
  const key = [...JOBS_KEY, jobId];
  const query = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => api.get("/v1/fine_tuning/jobs/{job_id}", { path: { job_id: jobId }, signal }),
    refetchInterval: ({ state }) => (state.data && stateOf(state.data.status) === "active" ? LIVE_MS : false),
  });
  useChanges(
    CHANGES,
    useCallback(() => void client.invalidateQueries({ queryKey: JOBS_KEY }), [client]),
  );
  return (
    <>
      <PageHeader
        title={t("page.title")}
        intro={<code>{jobId}</code>}
        help="docs/tuning"
        actions={query.data && <Actions job={query.data} onChanged={(job) => client.setQueryData(key, job)} />}
      />
      <Loaded query={query} rows={8}>
        {(job) => <Details job={job} />}
      </Loaded>
    </>
  );
}

function useEvents(job: Job) {
  const client = useQueryClient();
  const queryKey = [...JOBS_KEY, job.id, "events"];
  const active = stateOf(job.status) === "active";
  return useQuery({
    // the last events come with the end, so the end is another query
    queryKey: [...queryKey, active ? "live" : job.status],
    refetchInterval: active ? LIVE_MS : false,
    staleTime: active ? 0 : Infinity,
    queryFn: ({ signal, queryKey: own }) => {
      const known = client.getQueryData<JobEvent[]>(own) ?? client.getQueryData<JobEvent[]>([...queryKey, "live"]) ?? [];
      return eventsSince(
        known,
        ({ signal, ...query }) =>
          api.get("/v1/fine_tuning/jobs/{job_id}/events", { path: { job_id: job.id }, query, signal }),
        signal,
      );
    },
    placeholderData: (before) => before,
  });
}

function Details({ job }: { job: Job }) {
  const { t } = useTranslation("tune");
  const events = useEvents(job);
  return (
    <>
      {job.error && <Alert type="error" showIcon role="alert" className="form-error" title={t("page.failed")} description={job.error.message} />}
      {job.fine_tuned_model && <Made model={job.fine_tuned_model} />}
      <Section title={t("page.progress")} extra={<JobStatus status={job.status} />}>
        <Progress job={job} />
        <Facts job={job} />
      </Section>
      <Loaded query={events}>{(found) => <Curves events={found} job={job} />}</Loaded>
      <Checkpoints job={job} />
      <Loaded query={events}>{(found) => <Log events={found} />}</Loaded>
    </>
  );
}

function Made({ model }: { model: string }) {
  const { t } = useTranslation("tune");
  return (
    <Alert
      type="success"
      showIcon
      className="form-error"
      title={t("page.made")}
      description={
        <>
          <Link to={`/versions/${encodeURIComponent(model)}`}>{model}</Link>
          <br />
          {t("page.madeNext")} <Link to="/evaluate">{t("page.toEvaluate")}</Link> · <Link to="/deploy">{t("page.toDeploy")}</Link>
        </>
      }
    />
  );
}

function Progress({ job }: { job: Job }) {
  const { t, i18n } = useTranslation("tune");
  const { progress } = job;
  const number = (value: number, digits = 0) => numberText(value, i18n.language, digits);
  const steps = progress ? t("page.steps", { step: number(progress.step), total: number(progress.total_steps) }) : null;
  const pace = progress?.examples_per_second ? t("page.pace", { rate: number(progress.examples_per_second, 1) }) : null;
  return (
    <>
      <JobProgress
        label={t(`statuses.${job.status}`, { defaultValue: job.status })}
        state={stateOf(job.status)}
        progress={progress && progress.total_steps > 0 ? progress.step / progress.total_steps : null}
        detail={[steps, pace].filter(Boolean).join(" · ")}
      />
      <Remaining job={job} />
    </>
  );
}

/** The estimate with its range; the API says how many seconds are left at best and at worst. */
function Remaining({ job }: { job: Job }) {
  const { t, i18n } = useTranslation("tune");
  if (job.status !== "running") return null;
  if (!job.eta_range || !job.estimated_finish) return <p className="quiet">{t("page.noEstimate")}</p>;
  const time = (seconds: number) => durationText(seconds, i18n.language);
  const left = Math.max(0, job.estimated_finish - Date.now() / 1000);
  return (
    <p role="timer">
      {t("page.remaining", { time: time(left), low: time(job.eta_range[0]), high: time(job.eta_range[1]) })}
    </p>
  );
}

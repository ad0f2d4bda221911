/** The project's tuning jobs, newest first. */
import { PlusOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { Button } from "antd";
import { useCallback } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";
import { api } from "../../api";
import { useChanges, useMay } from "../../app";
import { EmptyState, PageHeader, ServerTable, Time, percentText, useShortcut } from "../../ui";
import "../lab";
import { JobStatus } from "./JobStatus";
import { JOBS_KEY, type Job } from "./types";

const CHANGES = ["tuning."];
const REFRESH_MS = 10_000;

export function JobList() {
  const { t, i18n } = useTranslation("tune");
  const may = useMay()("tuning:write");
  const navigate = useNavigate();
  const client = useQueryClient();
  useChanges(
    CHANGES,
    useCallback(() => void client.invalidateQueries({ queryKey: JOBS_KEY }), [client]),
  );
  const create = useCallback(() => void (may && navigate("/tune/new")), [may, navigate]);
  useShortcut("n", t("create"), create);
  const button = may && (
    <Button type="primary" icon={<PlusOutlined />} onClick={create}>
      {t("create")}
    </Button>
  );
  const progressOf = (job: Job) =>
    job.progress && job.progress.total_steps > 0
      ? percentText(job.progress.step / job.progress.total_steps, i18n.language, 0)
      : "–";
  return (
    <>
      <PageHeader title={t("title")} intro={t("intro")} help="docs/tuning" actions={button} />
      <ServerTable<Job>
        label={t("jobs")}
        queryKey={JOBS_KEY}
        refreshMilliseconds={REFRESH_MS}
        fetchPage={({ signal, ...query }) => api.get("/v1/fine_tuning/jobs", { query, signal })}
        rowKey={(job) => job.id}
        onOpen={(job) => void navigate(`/tune/${job.id}`)}
        empty={<EmptyState title={t("none")} next={t("noneNext")} action={button} />}
        columns={[
          { key: "job", title: t("job"), render: (job) => <Link to={`/tune/${job.id}`}>{nameOf(job)}</Link> },
          { key: "base", title: t("base"), render: (job) => job.model },
          { key: "status", title: t("status"), render: (job) => <JobStatus status={job.status} /> },
          { key: "progress", title: t("progress"), align: "right", render: progressOf },
          { key: "recipe", title: t("recipe"), render: (job) => t(`recipes.${job.recipe}.name`, { defaultValue: job.recipe }) },
          { key: "created", title: t("created"), render: (job) => <Time at={job.created_at} /> },
          { key: "finished", title: t("finished"), render: (job) => <Time at={job.finished_at} /> },
        ]}
      />
    </>
  );
}

/** The model it made, or else its own id. */
export function nameOf(job: Job): string {
  return job.fine_tuned_model ?? job.id;
}

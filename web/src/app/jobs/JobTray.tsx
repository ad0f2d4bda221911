/** What is going on, from every page: progress, a way to stop it, and a word when it is done. */
import { ThunderboltOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { Badge, Button, Drawer } from "antd";
import { useCallback, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { EmptyState, JobProgress, Loaded, useNotify } from "../../ui";
import type { Job } from "./source";
import { JOBS_KEY, useFinishedJobs, useJobs, useLiveJobs } from "./useJobs";

const SHOWN = 15;

export function JobTray() {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const jobs = useJobs();
  useLiveJobs();
  const notify = useNotify();
  const tell = useCallback(
    (job: Job) => {
      const title = t(`jobs.ended.${job.state}`, { kind: t(`jobs.kinds.${job.kind}`), name: job.name });
      notify.info(title, job.error ?? undefined);
    },
    [notify, t],
  );
  useFinishedJobs(jobs.data, tell);
  const running = jobs.data?.filter((job) => job.state === "active").length ?? 0;
  return (
    <>
      <Badge count={running} size="small" color="#0958d9">
        <Button
          type="text"
          icon={<ThunderboltOutlined />}
          aria-label={t("jobs.open", { count: running })}
          title={t("jobs.title")}
          onClick={() => setOpen(true)}
        />
      </Badge>
      <Drawer open={open} onClose={() => setOpen(false)} title={t("jobs.title")} size={400}>
        <Loaded query={jobs}>{(list) => <JobList jobs={list.slice(0, SHOWN)} onLeave={() => setOpen(false)} />}</Loaded>
      </Drawer>
    </>
  );
}

export function JobList({ jobs, onLeave }: { jobs: readonly Job[]; onLeave?: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const notify = useNotify();
  if (jobs.length === 0) return <EmptyState title={t("jobs.none")} next={t("jobs.noneNext")} />;
  const stopper = (job: Job) => async () => {
    try {
      await job.cancel?.();
      await client.invalidateQueries({ queryKey: JOBS_KEY });
    } catch (error) {
      notify.failure(error);
    }
  };
  return (
    <ul className="plain">
      {jobs.map((job) => (
        <li key={job.id}>
          <JobProgress
            label={`${t(`jobs.kinds.${job.kind}`)} · ${job.name}`}
            progress={job.progress}
            state={job.state}
            remainingSeconds={job.remainingSeconds}
            detail={
              <>
                <Link to={job.link} {...(onLeave && { onClick: onLeave })} aria-label={t("jobs.details", { name: job.name })}>
                  {t("jobs.show")}
                </Link>{" "}
                {job.error}
              </>
            }
            {...(job.cancel && { onCancel: stopper(job) })}
          />
        </li>
      ))}
    </ul>
  );
}

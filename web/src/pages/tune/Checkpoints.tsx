/** The states that were kept: each is a model version that can be evaluated and deployed like the last one. */
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { api } from "../../api";
import { EmptyState, Section, ServerTable, Time, percentText } from "../../ui";
import { JOBS_KEY, type Checkpoint, type Job } from "./types";

export function Checkpoints({ job }: { job: Job }) {
  const { t, i18n } = useTranslation("tune");
  const loss = (value: number | null | undefined) => (value == null ? "–" : value.toPrecision(3));
  const share = (value: number | null | undefined) => (value == null ? "–" : percentText(value, i18n.language));
  return (
    <Section title={t("checkpoints.title")}>
      <ServerTable<Checkpoint>
        label={t("checkpoints.title")}
        queryKey={[...JOBS_KEY, job.id, "checkpoints"]}
        fetchPage={({ signal, ...query }) =>
          api.get("/v1/fine_tuning/jobs/{job_id}/checkpoints", { path: { job_id: job.id }, query, signal })
        }
        rowKey={(checkpoint) => checkpoint.id}
        empty={<EmptyState title={t("checkpoints.none")} next={t("checkpoints.noneNext")} />}
        columns={[
          { key: "step", title: t("step"), align: "right", render: (row) => row.step_number },
          { key: "version", title: t("checkpoints.version"), render: (row) => <Version id={row.fine_tuned_model_checkpoint} /> },
          { key: "train", title: t("curves.train_loss"), align: "right", render: ({ metrics }) => loss(metrics.train_loss) },
          {
            key: "valid",
            title: t("checkpoints.validLoss"),
            align: "right",
            render: ({ metrics }) => loss(metrics.full_valid_loss ?? metrics.valid_loss),
          },
          {
            key: "accuracy",
            title: t("checkpoints.validAccuracy"),
            align: "right",
            render: ({ metrics }) => share(metrics.full_valid_mean_token_accuracy ?? metrics.valid_mean_token_accuracy),
          },
          { key: "time", title: t("created"), render: (row) => <Time at={row.created_at} /> },
        ]}
      />
    </Section>
  );
}

function Version({ id }: { id: string }) {
  return <Link to={`/versions/${encodeURIComponent(id)}`}>{id}</Link>;
}

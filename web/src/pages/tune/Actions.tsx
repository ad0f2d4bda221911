/** Pause, resume and cancel a job. */
import { PauseOutlined, PlayCircleOutlined } from "@ant-design/icons";
import { useMutation } from "@tanstack/react-query";
import { Button } from "antd";
import { useTranslation } from "react-i18next";
import { api } from "../../api";
import { useMay } from "../../app";
import { stateOf } from "../../app/jobs/source";
import { ConfirmDanger, numberText, useNotify } from "../../ui";
import type { Job } from "./types";

export function Actions({ job, onChanged }: { job: Job; onChanged: (job: Job) => void }) {
  const { t, i18n } = useTranslation("tune");
  const notify = useNotify();
  const path = { job_id: job.id };
  const steer = useMutation({
    mutationFn: (pause: boolean) =>
      pause
        ? api.post("/v1/fine_tuning/jobs/{job_id}/pause", { path })
        : api.post("/v1/fine_tuning/jobs/{job_id}/resume", { path }),
    onSuccess: onChanged,
    onError: (error) => notify.failure(error),
  });
  const state = stateOf(job.status);
  if (!useMay()("tuning:write") || (state !== "active" && state !== "paused")) return null;
  const step = job.progress?.step ?? 0;
  return (
    <>
      {state === "active" ? (
        <Button icon={<PauseOutlined />} title={t("actions.pauseHelp")} loading={steer.isPending} onClick={() => steer.mutate(true)}>
          {t("actions.pause")}
        </Button>
      ) : (
        <Button type="primary" icon={<PlayCircleOutlined />} loading={steer.isPending} onClick={() => steer.mutate(false)}>
          {t("actions.resume")}
        </Button>
      )}
      <ConfirmDanger
        action={t("actions.cancel")}
        title={t("actions.cancelTitle")}
        touches={[
          t("actions.cancelSteps", { count: step, number: numberText(step, i18n.language) }),
          t("actions.cancelModel"),
          t("actions.cancelInstead"),
        ]}
        onConfirm={async () => onChanged(await api.post("/v1/fine_tuning/jobs/{job_id}/cancel", { path }))}
      />
    </>
  );
}

/** What can be said before a job starts: memory from the API, duration from earlier jobs of the same kind. */
import { useQuery } from "@tanstack/react-query";
import { Alert } from "antd";
import { useTranslation } from "react-i18next";
import { api } from "../../api";
import { useMay } from "../../app";
import { bytesText, durationText, numberText } from "../../ui";
import { useTunable } from "./BaseField";
import { useFileCheck } from "./FileCheck";
import { FEWEST, forecast, type Precedent } from "./forecast";
import type { Draft } from "./order";
import { JOBS_KEY, type Job } from "./types";

const LOOKED_AT = 100;
const MOST_PRECEDENTS = 12;

/** Finished jobs with the same base and recipe, with the rows that they learnt. */
function usePrecedents(model: string | undefined, recipe: string | undefined) {
  const mayData = useMay()("data:read");
  return useQuery({
    queryKey: [...JOBS_KEY, "precedents", model, recipe],
    enabled: mayData && model !== undefined && recipe !== undefined,
    staleTime: 60_000,
    queryFn: async ({ signal }) => {
      const page = await api.get("/v1/fine_tuning/jobs", { query: { limit: LOOKED_AT }, signal });
      const alike = page.data.filter((job) => job.status === "succeeded" && job.model === model && job.recipe === recipe);
      const found = await Promise.all(alike.slice(0, MOST_PRECEDENTS).map((job) => precedentOf(job, signal)));
      return found.filter((precedent) => precedent !== null);
    },
  });
}

/** Null when its data is gone. */
async function precedentOf(job: Job, signal: AbortSignal): Promise<Precedent | null> {
  try {
    const path = { version_id: job.dataset_version_id };
    const { rows } = await api.get("/api/dataset_versions/{version_id}", { path, signal });
    return { rows, epochs: job.hyperparameters.n_epochs, seconds: job.cost.wall_seconds };
  } catch (error) {
    if (signal.aborted) throw error;
    return null;
  }
}

export function Beforehand({ draft }: { draft: Partial<Draft> }) {
  const { t } = useTranslation("tune");
  const base = useTunable().data?.find(({ id }) => id === draft.model);
  if (!base || draft.training_file === undefined) return <Alert type="info" title={t("before.choose")} className="form-error" />;
  return (
    <Alert
      type={base.fit.tune ? "info" : "warning"}
      showIcon
      className="form-error"
      title={t("before.title")}
      description={
        <dl className="facts">
          <div>
            <dt>{t("before.memory")}</dt>
            <dd>
              <Memory needed={base.fit.tune_bytes} free={base.fit.available_bytes} fits={base.fit.tune} />
            </dd>
          </div>
          <div>
            <dt>{t("before.duration")}</dt>
            <dd>
              <Duration draft={draft} />
            </dd>
          </div>
        </dl>
      }
    />
  );
}

function Memory({ needed, free, fits }: { needed: number; free: number; fits: boolean }) {
  const { t, i18n } = useTranslation("tune");
  const size = (bytes: number) => bytesText(bytes, i18n.language);
  return (
    <>
      {t("before.memoryNeeds", { needed: size(needed), free: size(free) })} {!fits && <strong>{t("before.memoryTight")}</strong>}
    </>
  );
}

function Duration({ draft }: { draft: Partial<Draft> }) {
  const { t, i18n } = useTranslation("tune");
  const rows = Number(useFileCheck(draft.training_file).data?.statistics["rows"] ?? 0);
  const query = usePrecedents(draft.model, draft.recipe);
  if (query.isLoading) return <>{t("before.looking")}</>;
  const precedents = query.data ?? [];
  const expected = forecast(precedents, rows, draft.n_epochs ?? null);
  const time = (seconds: number) => durationText(seconds, i18n.language);
  if (expected) {
    const { seconds, low, high, n } = expected;
    return <>{t("before.expected", { time: time(seconds), low: time(low), high: time(high), count: n })}</>;
  }
  const last = precedents[0];
  if (!last) return <>{t("before.noPrecedent")}</>;
  return (
    <>
      {t("before.onePrecedent", {
        rows: numberText(last.rows, i18n.language),
        count: last.epochs,
        time: time(last.seconds),
        fewest: FEWEST,
      })}
    </>
  );
}

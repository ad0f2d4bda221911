/** What a job was made from and what it has cost so far. */
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { Code, Money, Time, durationText, numberText } from "../../ui";
import type { Job } from "./types";

export function Facts({ job }: { job: Job }) {
  const { t, i18n } = useTranslation("tune");
  const number = (value: number, digits = 0) => numberText(value, i18n.language, digits);
  const { n_epochs, batch_size, learning_rate_multiplier } = job.hyperparameters;
  const rows: [string, ReactNode][] = [
    ["base", job.model],
    ["recipe", t(`recipes.${job.recipe}.name`, { defaultValue: job.recipe })],
    [
      "page.settings",
      t("page.settingsValue", { epochs: n_epochs, batch: batch_size, rate: number(learning_rate_multiplier, 3), seed: job.seed }),
    ],
    ["new.training", <Code key="training">{job.training_file}</Code>],
    ["new.validation", job.validation_file ? <Code key="validation">{job.validation_file}</Code> : t("page.noValidation")],
    ["page.data", <Link key="data" to={`/data/versions/${job.dataset_version_id}`}>{job.dataset_version_id}</Link>],
    ["created", <Time key="created" at={job.created_at} absolute />],
    ["finished", <Time key="finished" at={job.finished_at} absolute />],
    ["page.tokens", job.trained_tokens == null ? "–" : number(job.trained_tokens)],
    ["page.cost", <Cost key="cost" job={job} />],
  ];
  return (
    <dl className="facts">
      {rows.map(([key, value]) => (
        <div key={key}>
          <dt>{t(key)}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Cost({ job }: { job: Job }) {
  const { t, i18n } = useTranslation("tune");
  const { wall_seconds, cpu_seconds, amount } = job.cost;
  return (
    <>
      {t("page.machine", {
        wall: durationText(wall_seconds, i18n.language),
        cpu: durationText(cpu_seconds, i18n.language),
      })}{" "}
      {amount ? <Money value={inUnits(amount.value, amount.currency)} currency={amount.currency} /> : <span className="quiet">{t("page.noPrice")}</span>}
    </>
  );
}

/** Minor units (fen, cents) as the currency's unit. */
function inUnits(minor: number, currency: string): number {
  const { maximumFractionDigits } = new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions();
  return minor / 10 ** (maximumFractionDigits ?? 2);
}

/** Retries, waiting, time limits and what may leave this machine. */
import { Checkbox, Input } from "antd";
import { useTranslation } from "react-i18next";
import { ChoiceField, Field, NumberField } from "./fields";
import { DATA_CLASSES, type Plan, type Timeouts } from "./plan";

const TIMEOUTS: (keyof Timeouts)[] = ["connect", "first_token", "between_tokens", "total"];
const DAY = 86_400;

export function Advanced({ plan, onChange }: { plan: Plan; onChange: (change: Partial<Plan>) => void }) {
  const { t } = useTranslation("deploy");
  return (
    <>
      <h3>{t("advanced.waiting")}</h3>
      <div className="deploy-plan-fields">
        <NumberField at="retries" label={t("fields.retries")} value={plan.retries} min={0} max={10} onChange={(retries) => retries !== null && onChange({ retries })} />
        <NumberField at="concurrency" label={t("fields.concurrency")} hint={t("advanced.concurrencyHint")} value={plan.concurrency} min={1} max={100_000} placeholder={t("advanced.unlimited")} onChange={(concurrency) => onChange({ concurrency })} />
        <NumberField at="queue" label={t("fields.queue")} value={plan.queue} min={0} max={100_000} onChange={(queue) => queue !== null && onChange({ queue })} />
        <NumberField at="queue_seconds" label={t("fields.queue_seconds")} value={plan.queue_seconds} min={0} max={3600} suffix="s" onChange={(queue_seconds) => queue_seconds !== null && onChange({ queue_seconds })} />
        <NumberField at="hedge_seconds" label={t("fields.hedge_seconds")} hint={t("advanced.hedgeHint")} value={plan.hedge_seconds} min={0.001} max={DAY} step={0.1} suffix="s" placeholder={t("advanced.never")} onChange={(hedge_seconds) => onChange({ hedge_seconds })} />
      </div>
      <h3>{t("advanced.timeouts")}</h3>
      <div className="deploy-plan-fields">
        {TIMEOUTS.map((name) => (
          <NumberField
            key={name}
            at={`timeouts.${name}`}
            label={t(`fields.timeouts.${name}`)}
            value={plan.timeouts[name]}
            min={0.001}
            max={DAY}
            step={1}
            suffix="s"
            placeholder={t("advanced.serverDefault")}
            onChange={(seconds) => onChange({ timeouts: { ...plan.timeouts, [name]: seconds } })}
          />
        ))}
      </div>
      <h3>{t("advanced.privacy")}</h3>
      <div className="deploy-plan-fields">
        <Field at="stay_on_machine" label={t("fields.stay_on_machine")}>
          {(id) => (
            <Checkbox id={id} checked={plan.stay_on_machine} onChange={(event) => onChange({ stay_on_machine: event.target.checked })}>
              {t("advanced.stay")}
            </Checkbox>
          )}
        </Field>
        <Field at="privacy_policy" label={t("fields.privacy_policy")} hint={t("advanced.policyHint")}>
          {(id) => (
            <Input id={id} value={plan.privacy_policy ?? ""} maxLength={64} placeholder="default" onChange={(event) => onChange({ privacy_policy: event.target.value || null })} />
          )}
        </Field>
        <ChoiceField
          at="data_class"
          label={t("fields.data_class")}
          value={plan.data_class}
          none={t("advanced.notDeclared")}
          choices={DATA_CLASSES.map((value) => ({ value, label: t(`dataClasses.${value}`) }))}
          onChange={(data_class) => onChange({ data_class })}
        />
      </div>
    </>
  );
}

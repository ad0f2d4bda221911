/** Ways to try a model on real requests: canary, mirror, cascade. */
import { Slider, Switch } from "antd";
import { useId, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { ModelSelect } from "../run";
import { ChoiceField, Field, NumberField } from "./fields";
import { SIGNALS, STICKY, type Plan } from "./plan";

type Change = (change: Partial<Plan>) => void;

export function CanaryFields({ plan, onChange }: { plan: Plan; onChange: Change }) {
  const { t } = useTranslation("deploy");
  const { canary } = plan;
  const set = (change: Partial<NonNullable<Plan["canary"]>>) =>
    onChange({ canary: { ...(canary ?? { model: "", percent: 5, sticky: "user" }), ...change } });
  return (
    <Optional
      label={t("canary.title")}
      hint={t("canary.hint")}
      on={canary !== null}
      onSwitch={(on) => (on ? set({}) : onChange({ canary: null }))}
    >
      {canary && (
        <>
          <Field at="canary.model" label={t("canary.model")}>
            {(id) => <ModelSelect id={id} value={canary.model} onChange={(model) => set({ model })} />}
          </Field>
          <Percent at="canary.percent" label={t("canary.percent")} value={canary.percent} onChange={(percent) => set({ percent })} />
          <ChoiceField
            at="canary.sticky"
            label={t("canary.sticky")}
            hint={t("canary.stickyHint")}
            value={canary.sticky}
            choices={STICKY.map((value) => ({ value, label: t(`sticky.${value}`) }))}
            onChange={(sticky) => sticky && set({ sticky })}
          />
        </>
      )}
    </Optional>
  );
}

export function MirrorFields({ plan, onChange }: { plan: Plan; onChange: Change }) {
  const { t } = useTranslation("deploy");
  const { mirror } = plan;
  const set = (change: Partial<NonNullable<Plan["mirror"]>>) =>
    onChange({ mirror: { ...(mirror ?? { model: "", percent: 10 }), ...change } });
  return (
    <Optional
      label={t("mirror.title")}
      hint={t("mirror.hint")}
      on={mirror !== null}
      onSwitch={(on) => (on ? set({}) : onChange({ mirror: null }))}
    >
      {mirror && (
        <>
          <Field at="mirror.model" label={t("mirror.model")}>
            {(id) => <ModelSelect id={id} value={mirror.model} onChange={(model) => set({ model })} />}
          </Field>
          <Percent at="mirror.percent" label={t("mirror.percent")} value={mirror.percent} onChange={(percent) => set({ percent })} />
        </>
      )}
    </Optional>
  );
}

export function CascadeFields({ plan, onChange }: { plan: Plan; onChange: Change }) {
  const { t } = useTranslation("deploy");
  const { cascade } = plan;
  const set = (change: Partial<NonNullable<Plan["cascade"]>>) =>
    onChange({ cascade: { ...(cascade ?? { first: "", threshold: 0.8, signal: "mean_token_probability" }), ...change } });
  return (
    <Optional
      label={t("cascade.title")}
      hint={t("cascade.hint")}
      on={cascade !== null}
      onSwitch={(on) => (on ? set({}) : onChange({ cascade: null }))}
    >
      {cascade && (
        <>
          <Field at="cascade.first" label={t("cascade.first")}>
            {(id) => <ModelSelect id={id} capability="generate" value={cascade.first} onChange={(first) => set({ first })} />}
          </Field>
          <NumberField
            at="cascade.threshold"
            label={t("cascade.threshold")}
            hint={t("cascade.thresholdHint")}
            value={cascade.threshold}
            min={0.01}
            max={1}
            step={0.05}
            onChange={(threshold) => threshold !== null && set({ threshold })}
          />
          <ChoiceField
            at="cascade.signal"
            label={t("cascade.signal")}
            value={cascade.signal}
            choices={SIGNALS.map((value) => ({ value, label: t(`signals.${value}`) }))}
            onChange={(signal) => signal && set({ signal })}
          />
        </>
      )}
    </Optional>
  );
}

interface PercentProps {
  at: string;
  label: string;
  value: number;
  onChange: (percent: number) => void;
}

function Percent({ at, label, value, onChange }: PercentProps) {
  return (
    <div className="deploy-percent">
      <NumberField at={at} label={label} value={value} min={0} max={100} suffix="%" onChange={(next) => next !== null && onChange(next)} />
      <Slider
        className="deploy-target-slider"
        min={0}
        max={100}
        value={value}
        onChange={onChange}
        ariaLabelForHandle={label}
        tooltip={{ formatter: (percent) => `${percent ?? 0} %` }}
      />
    </div>
  );
}

interface OptionalProps {
  label: string;
  hint: string;
  on: boolean;
  onSwitch: (on: boolean) => void;
  children: ReactNode;
}

function Optional({ label, hint, on, onSwitch, children }: OptionalProps) {
  const id = useId();
  return (
    <div className="deploy-optional">
      <div className="deploy-optional-head">
        <Switch id={id} checked={on} onChange={onSwitch} aria-describedby={`${id}-hint`} />
        <label htmlFor={id}>
          <strong>{label}</strong>
        </label>
      </div>
      <p id={`${id}-hint`} className="quiet">
        {hint}
      </p>
      {on && <div className="deploy-plan-fields">{children}</div>}
    </div>
  );
}

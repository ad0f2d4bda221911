/** A route's plan as a form. What is saved is the whole plan, as a new version. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Alert, Button, Collapse, Flex, Form } from "antd";
import { useTranslation } from "react-i18next";
import { api } from "../../api";
import { useMay } from "../../app";
import { ErrorState, Section, useNotify } from "../../ui";
import type { Route } from "../run";
import { Advanced } from "./Advanced";
import { Differences } from "./Differences";
import { useEditing, type Editing } from "./editing";
import { Fallbacks } from "./Fallbacks";
import type { Plan } from "./plan";
import { ProblemsOf } from "./problems";
import { Schedule } from "./Schedule";
import { Targets } from "./Targets";
import { CanaryFields, CascadeFields, MirrorFields } from "./Trials";

interface RouteEditorProps {
  name: string;
  /** What the server has; for a new route an empty plan and version 0. */
  base: Plan;
  version: number;
  onSaved: (route: Route) => void;
}

export function RouteEditor({ name, base, version, onSaved }: RouteEditorProps) {
  const { t } = useTranslation("deploy");
  const client = useQueryClient();
  const notify = useNotify();
  const editing = useEditing(version === 0 ? "" : name, base, version);
  const mayWrite = useMay()("serving:write");
  const saving = useMutation({
    mutationFn: () =>
      api.put("/api/routes/{name}", { path: { name }, body: { ...editing.plan, expected_version: editing.expected } }),
    onSuccess: (route) => {
      editing.discard();
      client.setQueryData(["routes", "one", name], route);
      void client.invalidateQueries({ queryKey: ["routes"] });
      notify.success(t("saved", { name, version: route.version }));
      onSaved(route);
    },
  });
  const { plan, change } = editing;
  const readonly = !mayWrite;
  return (
    <ProblemsOf value={saving.error}>
      <Form layout="vertical" component="div" disabled={readonly}>
        {readonly && <Alert type="info" showIcon title={t("readonly")} className="deploy-plan-note" />}
        <Section title={t("parts.targets")}>
          <p className="quiet">{t("parts.targetsHint")}</p>
          <Targets at="targets" value={plan.targets} onChange={(targets) => change({ targets })} />
        </Section>
        <Section title={t("parts.fallbacks")}>
          <p className="quiet">{t("parts.fallbacksHint")}</p>
          <Fallbacks value={plan.fallbacks} onChange={(fallbacks) => change({ fallbacks })} />
        </Section>
        <Section title={t("parts.trials")}>
          <CanaryFields plan={plan} onChange={change} />
          <MirrorFields plan={plan} onChange={change} />
          <CascadeFields plan={plan} onChange={change} />
        </Section>
        <Section title={t("parts.schedule")}>
          <p className="quiet">{t("parts.scheduleHint")}</p>
          <Schedule value={plan.schedule} onChange={(schedule) => change({ schedule })} />
        </Section>
        <Collapse
          className="section"
          items={[{ key: "more", label: t("parts.advanced"), children: <Advanced plan={plan} onChange={change} /> }]}
        />
      </Form>
      {mayWrite && (
        <SaveBar
          editing={editing}
          before={version === 0 ? null : base}
          version={version}
          error={saving.error}
          pending={saving.isPending}
          ready={name !== ""}
          onSave={() => saving.mutate()}
        />
      )}
    </ProblemsOf>
  );
}

interface SaveBarProps {
  editing: Editing;
  before: Plan | null;
  version: number;
  error: unknown;
  pending: boolean;
  ready: boolean;
  onSave: () => void;
}

function SaveBar({ editing, before, version, error, pending, ready, onSave }: SaveBarProps) {
  const { t } = useTranslation("deploy");
  if (!editing.dirty && error === null) return null;
  return (
    <section className="deploy-save-bar" aria-label={t("changes.title")}>
      {editing.overtaken && (
        <Alert
          type="warning"
          showIcon
          title={t("changes.overtaken", { version })}
          action={<Button onClick={editing.keep}>{t("changes.keep")}</Button>}
        />
      )}
      {error !== null && <ErrorState error={error} />}
      {editing.dirty && (
        <>
          <h2>{t("changes.title")}</h2>
          <Differences before={before} after={editing.plan} />
          <Flex gap={8} justify="end">
            <Button onClick={editing.discard}>{t("changes.discard")}</Button>
            <Button type="primary" loading={pending} disabled={!ready || editing.overtaken} onClick={onSave}>
              {t("changes.save")}
            </Button>
          </Flex>
        </>
      )}
    </section>
  );
}

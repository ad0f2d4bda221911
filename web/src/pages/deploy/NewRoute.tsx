/** A route that is not there yet: a name and a plan. */
import { Input } from "antd";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { PageHeader, Section } from "../../ui";
import { useDraft } from "../run";
import { emptyPlan } from "./plan";
import { RouteEditor } from "./RouteEditor";

export function NewRoute() {
  const { t } = useTranslation("deploy");
  const navigate = useNavigate();
  const base = useMemo(emptyPlan, []);
  const [name, setName] = useDraft("route-name", "", (stored) => (typeof stored === "string" ? stored : null));
  return (
    <>
      <PageHeader title={t("newRoute.title")} intro={t("newRoute.intro")} help="docs/routing" />
      <Section title={t("newRoute.name")}>
        <label>
          <span className="unseen">{t("newRoute.name")}</span>
          <Input
            value={name}
            maxLength={255}
            placeholder="support-chat"
            autoComplete="off"
            className="deploy-route-name"
            onChange={(event) => setName(event.target.value.trim())}
          />
        </label>
        <p className="quiet">{t("newRoute.nameHint")}</p>
      </Section>
      <RouteEditor
        name={name}
        base={base}
        version={0}
        onSaved={(route) => {
          setName("");
          void navigate(`/deploy/routes/${route.name}`);
        }}
      />
    </>
  );
}

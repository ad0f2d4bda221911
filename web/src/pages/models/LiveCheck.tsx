/** Asks the API to look at the model now: read its files and compare checksums, or ask the provider what it has. */
import { useMutation } from "@tanstack/react-query";
import { Alert, Button } from "antd";
import { useTranslation } from "react-i18next";
import { api } from "../../api";
import { useMay } from "../../app";
import { ErrorState } from "../../ui";
import { scopeOf, sourceOf, type BaseModel, type Check } from "./model";

export function LiveCheck({ base }: { base: BaseModel }) {
  const { t } = useTranslation("models");
  const may = useMay();
  const check = useMutation({
    mutationFn: () =>
      api.post("/api/base_models/{base_id}/check", { path: { base_id: base.id }, scope: scopeOf(base) }),
  });
  if (!may("catalog:write")) return null;
  const { kind } = sourceOf(base);
  return (
    <div className="models-check">
      <Button loading={check.isPending} onClick={() => check.mutate()}>
        {t(`check.actions.${kind}`)}
      </Button>
      <p className="quiet">{t(`check.hints.${kind}`)}</p>
      {check.data && <CheckResult check={check.data} />}
      {check.error && <ErrorState error={check.error} retry={() => check.mutate()} />}
    </div>
  );
}

export function CheckResult({ check }: { check: Check }) {
  const { t } = useTranslation("models");
  const words = useCheckText()(check);
  return (
    <Alert
      type={check.ok ? "success" : "error"}
      showIcon
      role={check.ok ? "status" : "alert"}
      title={words}
      description={
        <>
          {/* the check's own words are English and say what exactly was found */}
          {words !== check.detail && !check.ok && <span lang="en">{check.detail}</span>}
          {check.models.length > 0 && (
            <details>
              <summary>{t("check.models", { count: check.models.length })}</summary>
              <ul>
                {check.models.map((model) => (
                  <li key={model}>
                    <code>{model}</code>
                  </li>
                ))}
              </ul>
            </details>
          )}
        </>
      }
    />
  );
}

/** A check in the chosen language; what we have no words for stays as the API says it. */
export function useCheckText(): (check: Check) => string {
  const { t } = useTranslation("models");
  return (check) => {
    if (check.ok) return t(check.models.length > 0 ? "check.remoteGood" : "check.good");
    return t(`check.codes.${check.code ?? "unknown"}`, { defaultValue: check.detail });
  };
}

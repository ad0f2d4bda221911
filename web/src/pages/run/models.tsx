/** What a call can name: models, versions, names and routes; and a field to choose one. */
import { useQuery } from "@tanstack/react-query";
import { Select } from "antd";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { allOf, api, type Wire } from "../../api";
import { useMay } from "../../app";

export type Model = Wire<"ModelObject">;
export type Route = Wire<"RouteObject">;

/** Everything that `/v1/models` lists. */
export function useModels() {
  return useQuery({
    queryKey: ["models", "all"],
    staleTime: 15_000,
    queryFn: async ({ signal }) => (await api.get("/v1/models", { signal })).data,
  });
}

/** All routes of the project; nothing for people who may not read them. */
export function useRoutes() {
  return useQuery({
    queryKey: ["routes", "all"],
    enabled: useMay()("serving:read"),
    queryFn: ({ signal }) =>
      allOf(({ after, limit, signal }) => api.get("/api/routes", { query: { after, limit }, signal }), signal),
  });
}

interface ModelSelectProps {
  /** Read out; the visible label may stand elsewhere. */
  label?: string;
  id?: string;
  value?: string | undefined;
  onChange?: (model: string) => void;
  /** Also offer routes, which stand for models in calls but may not be targets. */
  withRoutes?: boolean;
  /** Only models that can do this. */
  capability?: "generate" | "embed";
  /** Names that are taken already. */
  exclude?: readonly string[];
  invalid?: boolean;
  disabled?: boolean;
}

export function ModelSelect(props: ModelSelectProps) {
  const { t } = useTranslation("run");
  const models = useModels();
  const routes = useRoutes();
  const { capability, exclude, withRoutes = false, value } = props;
  const options = useMemo(() => {
    const routed = new Set(routes.data?.map((route) => route.name));
    const taken = new Set(exclude?.filter((name) => name !== value));
    return grouped(models.data ?? [], routed)
      .filter(({ group }) => withRoutes || group !== "routes")
      .map(({ group, models: listed }) => ({
        label: t(group),
        options: listed
          .filter((model) => !taken.has(model.id) && (!capability || model.capabilities.includes(capability)))
          .map((model) => ({ value: model.id, label: model.id })),
      }))
      .filter((group) => group.options.length > 0);
  }, [models.data, routes.data, capability, exclude, withRoutes, value, t]);
  return (
    <Select<string>
      {...(props.id !== undefined && { id: props.id })}
      {...(value ? { value } : { value: null })}
      {...(props.invalid && { status: "error" as const })}
      aria-label={props.label ?? t("model")}
      placeholder={t("chooseModel")}
      notFoundContent={t("noModels")}
      loading={models.isLoading}
      disabled={props.disabled ?? false}
      showSearch
      options={options}
      onChange={(chosen) => props.onChange?.(chosen)}
      popupMatchSelectWidth={false}
      className="model-select"
      style={{ width: "100%", minWidth: 160 }}
    />
  );
}

export type ModelGroup = "routes" | "names" | "versions" | "bases";

/** Models by what they are, names that people gave first. */
export function grouped(models: readonly Model[], routed: ReadonlySet<string>): { group: ModelGroup; models: Model[] }[] {
  const groups: Record<ModelGroup, Model[]> = { routes: [], names: [], versions: [], bases: [] };
  for (const model of models) {
    if (routed.has(model.id)) groups.routes.push(model);
    else if (model.id !== model.target) groups.names.push(model);
    else groups[model.kind === "version" ? "versions" : "bases"].push(model);
  }
  return (Object.keys(groups) as ModelGroup[]).map((group) => ({ group, models: groups[group] }));
}

/** One route: its plan, its history, and the way back. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Alert, Button, Tabs } from "antd";
import { useCallback, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate, useParams } from "react-router";
import { ApiError, api } from "../../api";
import { useChanges, useMay } from "../../app";
import { ConfirmDanger, Loaded, PageHeader, useNotify } from "../../ui";
import type { Route } from "../run";
import { RouteHistory } from "./History";
import { planOf } from "./plan";
import { useRollback } from "./rollback";
import { RouteEditor } from "./RouteEditor";

export function RoutePage() {
  const { t } = useTranslation("deploy");
  const name = useParams()["*"] ?? "";
  const query = useRoute(name);
  const gone = query.error instanceof ApiError && query.error.status === 404;
  return (
    <>
      <PageHeader
        title={t("route.title", { name })}
        intro={query.data ? t("route.intro", { name, version: query.data.version }) : null}
        help="docs/routing"
        actions={query.data && <RouteActions route={query.data} />}
      />
      {gone ? (
        <>
          <Alert type="warning" showIcon title={t("route.gone", { name })} description={t("route.goneNext")} className="deploy-plan-note" />
          <RouteHistory name={name} current={null} />
        </>
      ) : (
        <Loaded query={query} rows={8}>
          {(route) => <RouteTabs route={route} />}
        </Loaded>
      )}
    </>
  );
}

function useRoute(name: string) {
  const client = useQueryClient();
  const refetch = useCallback(() => void client.invalidateQueries({ queryKey: ["routes"] }), [client]);
  useChanges(["gateway.route."], refetch);
  return useQuery({
    queryKey: ["routes", "one", name],
    queryFn: ({ signal }) => api.get("/api/routes/{name}", { path: { name }, signal }),
  });
}

function RouteTabs({ route }: { route: Route }) {
  const { t } = useTranslation("deploy");
  const base = useMemo(() => planOf(route), [route]);
  return (
    <>
      {route.missing_models && route.missing_models.length > 0 && (
        <Alert type="error" showIcon title={t("route.missing", { models: route.missing_models.join(", ") })} className="deploy-plan-note" />
      )}
      <Tabs
        items={[
          {
            key: "plan",
            label: t("route.plan"),
            children: <RouteEditor key={route.name} name={route.name} base={base} version={route.version} onSaved={() => undefined} />,
          },
          { key: "history", label: t("route.history"), children: <RouteHistory name={route.name} current={route} /> },
        ]}
      />
    </>
  );
}

function RouteActions({ route }: { route: Route }) {
  const { t } = useTranslation("deploy");
  const navigate = useNavigate();
  const client = useQueryClient();
  const notify = useNotify();
  const back = useRollback(route.name, route.version);
  if (!useMay()("serving:write")) return null;
  const remove = async () => {
    const query = { expected_version: route.version };
    await api.delete("/api/routes/{name}", { path: { name: route.name }, query });
    await client.invalidateQueries({ queryKey: ["routes"] });
    notify.success(t("route.deleted", { name: route.name }), t("route.deletedNext"));
    void navigate("/deploy/routes");
  };
  return (
    <>
      <Button loading={back.isPending} disabled={route.version < 2} onClick={() => back.mutate(null)}>
        {t("route.undo")}
      </Button>
      <ConfirmDanger
        action={t("route.delete")}
        title={t("route.deleteTitle", { name: route.name })}
        touches={[t("route.touchesCalls", { name: route.name }), t("route.touchesModel"), t("route.touchesHistory")]}
        onConfirm={remove}
      />
    </>
  );
}

/** What is served: its state, why it failed, and a way to stop it. */
import { RocketOutlined } from "@ant-design/icons";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Button, Flex } from "antd";
import { useCallback, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { api, type Wire } from "../../api";
import { useChanges, useMay } from "../../app";
import { ConfirmDanger, EmptyState, ServerTable, Time, numberText, useNotify, type Column } from "../../ui";
import { useRoutes } from "../run";
import { DeployDrawer } from "./DeployDrawer";
import { modelsOf, planOf } from "./plan";
import { State } from "./State";

type Deployment = Wire<"DeploymentObject">;

const KEY = ["deployments"];
const REFRESH_MS = 10_000;
const SERVED = new Set(["starting", "ready", "failed"]);

export function Deployments() {
  const { t } = useTranslation("deploy");
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  const refetch = useCallback(() => void client.invalidateQueries({ queryKey: KEY }), [client]);
  useChanges(["serving."], refetch);
  const mayWrite = useMay()("serving:write");
  const columns = useColumns();
  const deploy = mayWrite && (
    <Button type="primary" icon={<RocketOutlined />} onClick={() => setOpen(true)}>
      {t("deployModel")}
    </Button>
  );
  return (
    <>
      <div className="deploy-tab-actions">{deploy}</div>
      <ServerTable
        label={t("deployments.label")}
        queryKey={KEY}
        fetchPage={({ after, limit, signal }) => api.get("/api/deployments", { query: { after, limit }, signal })}
        rowKey={(row) => row.id}
        columns={columns}
        refreshMilliseconds={REFRESH_MS}
        empty={<EmptyState title={t("deployments.empty")} next={t("deployments.emptyNext")} action={deploy} />}
      />
      <DeployDrawer open={open} onClose={() => setOpen(false)} onDeployed={refetch} />
    </>
  );
}

function useColumns(): Column<Deployment>[] {
  const { t, i18n } = useTranslation("deploy");
  const may = useMay();
  const [mayWrite, mayUse] = [may("serving:write"), may("models:use")];
  const count = (value: number | null) => (value === null ? t("deployments.standard") : numberText(value, i18n.language));
  return [
    {
      key: "model",
      title: t("deployments.model"),
      render: (row) => (
        <>
          <strong>{row.model}</strong>
          {row.base !== row.model && <div className="quiet">{t("deployments.on", { base: row.base })}</div>}
        </>
      ),
    },
    { key: "state", title: t("deployments.state"), render: (row) => <State status={row.status} reason={row.reason} /> },
    { key: "slots", title: t("deployments.slots"), align: "right", render: (row) => count(row.slots) },
    { key: "context", title: t("deployments.context"), align: "right", render: (row) => count(row.context_tokens) },
    { key: "engine", title: t("deployments.engine"), render: (row) => row.engine },
    { key: "updated", title: t("deployments.updated"), render: (row) => <Time at={row.updated_at} /> },
    {
      key: "actions",
      title: <span className="unseen">{t("deployments.actions")}</span>,
      render: (row) => (
        <Flex gap={12} align="center">
          {mayUse && row.status === "ready" && (
            <Link to={`/playground?model=${encodeURIComponent(row.model)}`} aria-label={t("deployments.tryModel", { model: row.model })}>
              {t("deployments.try")}
            </Link>
          )}
          {mayWrite && SERVED.has(row.status) && <Stop deployment={row} />}
        </Flex>
      ),
    },
  ];
}

function Stop({ deployment }: { deployment: Deployment }) {
  const { t } = useTranslation("deploy");
  const client = useQueryClient();
  const notify = useNotify();
  const touched = useTouched(deployment.model);
  const stop = async () => {
    await api.delete("/api/deployments/{deployment_id}", { path: { deployment_id: deployment.id } });
    await client.invalidateQueries({ queryKey: KEY });
    notify.success(t("stop.done", { model: deployment.model }));
  };
  return (
    <ConfirmDanger
      size="small"
      action={t("stop.action")}
      title={t("stop.title", { model: deployment.model })}
      touches={[
        t("stop.calls", { model: deployment.model }),
        ...touched.names.map((name) => t("stop.name", { name })),
        ...touched.routes.map((name) => t("stop.route", { name })),
        t("stop.elsewhere"),
      ]}
      onConfirm={stop}
    />
  );
}

/** Names and routes through which callers reach the model. */
function useTouched(model: string): { names: string[]; routes: string[] } {
  const aliases = useQuery({
    queryKey: ["aliases"],
    staleTime: 15_000,
    queryFn: async ({ signal }) => (await api.get("/api/aliases", { signal })).data,
  });
  const routes = useRoutes();
  const names = (aliases.data ?? []).filter((alias) => alias.target === model).map((alias) => alias.name);
  const reached = new Set([model, ...names]);
  return {
    names,
    routes: (routes.data ?? [])
      .filter((route) => modelsOf(planOf(route)).some((name) => reached.has(name)))
      .map((route) => route.name),
  };
}

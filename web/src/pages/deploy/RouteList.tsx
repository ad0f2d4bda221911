/** The project's routes, each with what it does in a few words. */
import { PlusOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { Button, Tag } from "antd";
import { useCallback } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";
import { api } from "../../api";
import { useChanges, useMay } from "../../app";
import { EmptyState, ServerTable, Time, type Column } from "../../ui";
import type { Route } from "../run";
import { percentOf } from "./changes";
import { planOf } from "./plan";
import { sharesOf } from "./shares";

export function RouteList() {
  const { t } = useTranslation("deploy");
  const navigate = useNavigate();
  const client = useQueryClient();
  const refetch = useCallback(() => void client.invalidateQueries({ queryKey: ["routes"] }), [client]);
  useChanges(["gateway.route."], refetch);
  const mayWrite = useMay()("serving:write");
  const create = mayWrite && (
    <Button icon={<PlusOutlined />} onClick={() => void navigate("/deploy/new-route")}>
      {t("newRoute.title")}
    </Button>
  );
  const columns: Column<Route>[] = [
    { key: "name", title: t("routes.name"), render: (row) => <Link to={`/deploy/routes/${row.name}`}>{row.name}</Link> },
    { key: "targets", title: t("routes.targets"), render: (row) => <TargetList route={row} /> },
    { key: "extras", title: t("routes.extras"), render: (row) => <Extras route={row} /> },
    { key: "version", title: t("routes.version"), render: (row) => row.version, align: "right" },
    { key: "updated", title: t("routes.updated"), render: (row) => <Time at={row.updated_at} /> },
  ];
  return (
    <>
      <div className="deploy-tab-actions">{create}</div>
      <ServerTable
        label={t("routes.label")}
        queryKey={["routes", "list"]}
        fetchPage={({ after, limit, signal }) => api.get("/api/routes", { query: { after, limit }, signal })}
        rowKey={(row) => row.id}
        columns={columns}
        empty={<EmptyState title={t("routes.empty")} next={t("routes.emptyNext")} action={create} />}
      />
    </>
  );
}

function TargetList({ route }: { route: Route }) {
  const { targets } = planOf(route);
  const shares = sharesOf(targets.map((target) => target.weight));
  return (
    <ul className="plain">
      {targets.map((target, index) => (
        <li key={target.model}>
          {target.model} <span className="quiet number">{percentOf(shares[index] ?? 0)}</span>
        </li>
      ))}
    </ul>
  );
}

function Extras({ route }: { route: Route }) {
  const { t } = useTranslation("deploy");
  const plan = planOf(route);
  const told = [
    plan.canary && t("extras.canary", { model: plan.canary.model, percent: plan.canary.percent }),
    plan.mirror && t("extras.mirror", { model: plan.mirror.model, percent: plan.mirror.percent }),
    plan.cascade && t("extras.cascade", { model: plan.cascade.first }),
    plan.fallbacks.length > 0 && t("extras.fallbacks", { count: plan.fallbacks.length }),
    plan.schedule.length > 0 && t("extras.schedule", { count: plan.schedule.length }),
    plan.stay_on_machine && t("extras.stay"),
  ].filter((text): text is string => typeof text === "string");
  return told.map((text) => <Tag key={text}>{text}</Tag>);
}

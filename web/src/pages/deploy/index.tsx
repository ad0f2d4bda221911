/** Deploy: what is served, and how requests find it. */
import { Tabs } from "antd";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Navigate, Route, Routes, useNavigate } from "react-router";
import { PageHeader } from "../../ui";
import { Deployments } from "./Deployments";
import en from "./en.json";
import { NewRoute } from "./NewRoute";
import { RouteList } from "./RouteList";
import { RoutePage } from "./RoutePage";
import "./styles.css";
import zh from "./zh.json";

export const texts = { en, zh };

export default function DeployPage() {
  return (
    <Routes>
      <Route
        index
        element={
          <Listing tab="deployments">
            <Deployments />
          </Listing>
        }
      />
      <Route
        path="routes"
        element={
          <Listing tab="routes">
            <RouteList />
          </Listing>
        }
      />
      <Route path="routes/*" element={<RoutePage />} />
      <Route path="new-route" element={<NewRoute />} />
      <Route path="*" element={<Navigate to="/deploy" replace />} />
    </Routes>
  );
}

function Listing({ tab, children }: { tab: "deployments" | "routes"; children: ReactNode }) {
  const { t } = useTranslation("deploy");
  const navigate = useNavigate();
  return (
    <>
      <PageHeader title={t("title")} intro={t("intro")} help="docs/serving" />
      <Tabs
        activeKey={tab}
        onChange={(key) => void navigate(key === "routes" ? "/deploy/routes" : "/deploy")}
        items={(["deployments", "routes"] as const).map((key) => ({
          key,
          label: t(`tabs.${key}`),
          children: key === tab ? children : null,
        }))}
      />
    </>
  );
}

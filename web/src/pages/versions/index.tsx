/** Versions: every model that was made here, where it came from, and the names that point at it. */
import { Tabs } from "antd";
import { useTranslation } from "react-i18next";
import { Route, Routes, useNavigate } from "react-router";
import { PageHeader } from "../../ui";
import "../lab";
import en from "./en.json";
import { Names } from "./Names";
import { VersionList } from "./VersionList";
import { VersionPage } from "./VersionPage";
import zh from "./zh.json";

export const texts = { en, zh };

export default function VersionsPage() {
  return (
    <Routes>
      <Route index element={<Lists tab="list" />} />
      <Route path="names" element={<Lists tab="names" />} />
      <Route path=":versionId" element={<VersionPage />} />
    </Routes>
  );
}

function Lists({ tab }: { tab: "list" | "names" }) {
  const { t } = useTranslation("versions");
  const navigate = useNavigate();
  return (
    <>
      <PageHeader title={t("title")} intro={t("intro")} help="docs/versions" />
      <Tabs
        activeKey={tab}
        onChange={(key) => void navigate(key === "names" ? "/versions/names" : "/versions")}
        items={[
          { key: "list", label: t("tabs.list"), children: tab === "list" ? <VersionList /> : null },
          { key: "names", label: t("tabs.names"), children: tab === "names" ? <Names /> : null },
        ]}
      />
    </>
  );
}

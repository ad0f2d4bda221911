/** Files, and the datasets made of them. */
import { useQueryClient } from "@tanstack/react-query";
import { Tabs } from "antd";
import { useCallback } from "react";
import { useTranslation } from "react-i18next";
import { Navigate, Route, Routes, useNavigate } from "react-router";
import { useChanges } from "../../app";
import { PageHeader } from "../../ui";
import { DatasetList } from "./datasets/DatasetList";
import { DatasetPage } from "./datasets/DatasetPage";
import { NewDataset } from "./datasets/NewDataset";
import { VersionPage } from "./datasets/VersionPage";
import en from "./en.json";
import { Files } from "./files/FileList";
import "./styles.css";
import { DATASETS, FILES } from "./types";
import zh from "./zh.json";

export const texts = { en, zh };

const KINDS = ["data."] as const;

export default function DataPage() {
  const client = useQueryClient();
  const refresh = useCallback(() => {
    void client.invalidateQueries({ queryKey: FILES });
    void client.invalidateQueries({ queryKey: DATASETS });
  }, [client]);
  useChanges(KINDS, refresh);
  return (
    <Routes>
      <Route index element={<Lists active="datasets" />} />
      <Route path="datasets" element={<Lists active="datasets" />} />
      <Route path="files" element={<Lists active="files" />} />
      <Route path="new" element={<NewDataset />} />
      <Route path="datasets/:name" element={<DatasetPage />} />
      <Route path="versions/:versionId" element={<VersionPage />} />
      <Route path="*" element={<Navigate to="/data" replace />} />
    </Routes>
  );
}

function Lists({ active }: { active: "datasets" | "files" }) {
  const { t } = useTranslation("data");
  const navigate = useNavigate();
  return (
    <>
      <PageHeader title={t("title")} intro={t("intro")} />
      <Tabs
        activeKey={active}
        onChange={(key) => void navigate(`/data/${key}`)}
        destroyOnHidden
        items={[
          { key: "datasets", label: t("tabs.datasets"), children: <DatasetList /> },
          { key: "files", label: t("tabs.files"), children: <Files /> },
        ]}
      />
    </>
  );
}

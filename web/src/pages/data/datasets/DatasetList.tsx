/** The project's datasets, newest first. */
import { PlusOutlined } from "@ant-design/icons";
import { Button } from "antd";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";
import { api } from "../../../api";
import { useMay } from "../../../app";
import { EmptyState, Section, ServerTable, Time } from "../../../ui";
import { DATASETS, type Dataset } from "../types";

export function DatasetList() {
  const { t } = useTranslation("data");
  const may = useMay();
  const navigate = useNavigate();
  const create = may("data:write") && (
    <Button type="primary" icon={<PlusOutlined />} onClick={() => void navigate("/data/new")}>
      {t("datasets.create")}
    </Button>
  );
  const linkTo = (dataset: Dataset) => `/data/datasets/${encodeURIComponent(dataset.name)}`;
  return (
    <Section title={t("datasets.heading")} extra={create}>
      <ServerTable<Dataset>
        label={t("datasets.heading")}
        queryKey={[...DATASETS, "list"]}
        fetchPage={({ signal, after, limit }) => api.get("/api/datasets", { query: { after: after ?? null, limit }, signal })}
        rowKey={(dataset) => dataset.id}
        onOpen={(dataset) => void navigate(linkTo(dataset))}
        columns={[
          { key: "name", title: t("datasets.name"), render: (dataset) => <Link to={linkTo(dataset)}>{dataset.name}</Link> },
          { key: "latest", title: t("datasets.latest"), render: (dataset) => t("versions.number", { number: dataset.latest_version }) },
          { key: "created", title: t("created"), render: (dataset) => <Time at={dataset.created_at} /> },
        ]}
        empty={<EmptyState title={t("datasets.none")} next={t("datasets.noneNext")} />}
      />
    </Section>
  );
}

/** The rows of a version, a page at a time, of one split or all. */
import { Form, Select, Tag } from "antd";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, type ListPage, type PageRequest } from "../../../api";
import { EmptyState, numberText, Section, ServerTable } from "../../../ui";
import { DATASETS, type DataRow, type Version } from "../types";
import { RowView } from "./RowView";

/** The API continues rows by a cursor of their own (`next`), not by the last id. */
export function asListPage(page: { data: DataRow[]; next?: string | null }): ListPage<DataRow> {
  const next = page.next ?? null;
  return { data: page.data, last_id: next, has_more: next !== null };
}

export function Rows({ version }: { version: Version }) {
  const { t, i18n } = useTranslation("data");
  const [split, setSplit] = useState<string | null>(null);
  const id = useId();
  const fetchPage = async ({ after, limit, signal }: PageRequest) => {
    const query = { after: after ?? null, limit, split };
    const path = { version_id: version.id };
    return asListPage(await api.get("/api/dataset_versions/{version_id}/rows", { path, query, signal }));
  };
  return (
    <Section title={t("rows.title")}>
      <Form.Item label={t("splits.split")} htmlFor={id} className="data-field">
        <Select
          id={id}
          className="filter"
          allowClear
          placeholder={t("splits.all")}
          value={split}
          onChange={(value: string | undefined) => setSplit(value ?? null)}
          options={Object.keys(version.splits).map((value) => ({ value, label: value }))}
        />
      </Form.Item>
      <ServerTable<DataRow>
        label={t("rows.title")}
        queryKey={[...DATASETS, "rows", version.id, split]}
        fetchPage={fetchPage}
        rowKey={(row) => String(row.number)}
        columns={[
          { key: "number", title: t("rows.number"), align: "right", width: 80, render: (row) => numberText(row.number + 1, i18n.language) },
          { key: "split", title: t("splits.split"), width: 100, render: (row) => <Tag>{row.split}</Tag> },
          { key: "row", title: t("rows.content"), render: (row) => <RowView row={row.row} /> },
        ]}
        empty={<EmptyState title={t("rows.none")} />}
      />
    </Section>
  );
}

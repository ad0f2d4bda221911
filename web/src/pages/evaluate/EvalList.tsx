/** The project's evaluations, those with the newest work first. */
import { PlusOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { Button, Tag } from "antd";
import { useCallback } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";
import { api } from "../../api";
import { useMay } from "../../app";
import { ConfirmDanger, EmptyState, PageHeader, ServerTable, Time, useShortcut } from "../../ui";
import { EVALS_KEY, type Eval } from "./types";

export function EvalList() {
  const { t } = useTranslation("evaluate");
  const may = useMay()("evals:write");
  const navigate = useNavigate();
  const create = useCallback(() => void (may && navigate("/evaluate/new")), [may, navigate]);
  useShortcut("n", t("create"), create);
  const button = may && (
    <Button type="primary" icon={<PlusOutlined />} onClick={create}>
      {t("create")}
    </Button>
  );
  return (
    <>
      <PageHeader title={t("title")} intro={t("intro")} help="docs/evaluation" actions={button} />
      <ServerTable<Eval>
        label={t("title")}
        queryKey={EVALS_KEY}
        fetchPage={({ signal, ...query }) => api.get("/v1/evals", { query: { ...query, order: "desc", order_by: "updated_at" }, signal })}
        rowKey={(entry) => entry.id}
        onOpen={(entry) => void navigate(`/evaluate/${entry.id}`)}
        empty={<EmptyState title={t("none")} next={t("noneNext")} action={button} />}
        columns={[
          { key: "name", title: t("name"), render: (entry) => <Link to={`/evaluate/${entry.id}`}>{entry.name}</Link> },
          { key: "checks", title: t("checks"), render: (entry) => <Checks entry={entry} /> },
          { key: "created", title: t("created"), render: (entry) => <Time at={entry.created_at} /> },
          {
            key: "actions",
            title: <span className="unseen">{t("actions")}</span>,
            align: "right",
            render: (entry) => may && <DeleteEval entry={entry} />,
          },
        ]}
      />
    </>
  );
}

export function Checks({ entry }: { entry: Eval }) {
  const { t } = useTranslation("evaluate");
  return entry.testing_criteria.map((criterion) => {
    const [name, type] = [String(criterion["name"]), String(criterion["type"])];
    return <Tag key={name}>{t(`types.${type}`, { defaultValue: type })}</Tag>;
  });
}

function DeleteEval({ entry }: { entry: Eval }) {
  const { t } = useTranslation("evaluate");
  const client = useQueryClient();
  return (
    <ConfirmDanger
      size="small"
      action={t("delete.action")}
      title={t("delete.title", { name: entry.name })}
      touches={[t("delete.runs"), t("delete.running"), t("delete.kept")]}
      typeToConfirm={entry.name}
      onConfirm={async () => {
        await api.delete("/v1/evals/{eval_id}", { path: { eval_id: entry.id } });
        await client.invalidateQueries({ queryKey: EVALS_KEY });
      }}
    />
  );
}

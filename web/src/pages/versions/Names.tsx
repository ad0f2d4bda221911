/** The names that clients call, what they mean now, and the way back. */
import { Button, Flex, Table } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { api } from "../../api";
import { useMay } from "../../app";
import { Code, ConfirmDanger, EmptyState, Loaded, Time } from "../../ui";
import { useRoutes } from "../run";
import { History } from "./History";
import { PointName } from "./PointName";
import { useAliases, useRefresh } from "./queries";
import { linkTo, type Alias } from "./types";
import { modelsOf } from "./uses";

const PAGE = 50;

export function Names() {
  const { t } = useTranslation("versions");
  const may = useMay()("models:write");
  const query = useAliases();
  const [shown, setShown] = useState<string | null>(null);
  useRefresh();
  const create = may && <PointName primary button={t("names.create")} />;
  return (
    <>
      <Flex justify="space-between" align="center" gap={16} className="page-header">
        <span>{t("names.intro")}</span>
        {create}
      </Flex>
      <Loaded query={query}>
        {(aliases) => (
          <Table<Alias>
            aria-label={t("names.title")}
            rowKey={(alias) => alias.name}
            dataSource={aliases}
            scroll={{ x: "max-content" }}
            pagination={aliases.length > PAGE ? { pageSize: PAGE, showSizeChanger: false } : false}
            locale={{ emptyText: <EmptyState title={t("names.none")} next={t("names.noneNext")} /> }}
            columns={[
              { key: "name", title: t("names.name"), render: (_, { name }) => <Code copy>{name}</Code> },
              { key: "target", title: t("names.target"), render: (_, { target }) => <Target id={target} /> },
              { key: "changed", title: t("names.changed"), render: (_, alias) => <Time at={alias.updated_at} /> },
              {
                key: "actions",
                title: <span className="unseen">{t("names.actions")}</span>,
                align: "right",
                render: (_, alias) => (
                  <Flex gap={8} justify="end">
                    <Button size="small" onClick={() => setShown(alias.name)}>
                      {t("names.history")}
                    </Button>
                    {may && <PointName size="small" button={t("names.move")} name={alias.name} />}
                    {may && <DeleteName alias={alias} />}
                  </Flex>
                ),
              },
            ]}
          />
        )}
      </Loaded>
      <History name={shown} onClose={() => setShown(null)} />
    </>
  );
}

export function Target({ id }: { id: string }) {
  return id.startsWith("ft:") ? <Link to={linkTo(id)}>{id}</Link> : <Code>{id}</Code>;
}

function DeleteName({ alias }: { alias: Alias }) {
  const { t } = useTranslation("versions");
  const refresh = useRefresh();
  const routes = (useRoutes().data ?? []).filter((route) => modelsOf(route).includes(alias.name));
  return (
    <ConfirmDanger
      size="small"
      action={t("names.delete")}
      title={t("names.deleteTitle", { name: alias.name })}
      touches={[
        t("names.deleteCalls", { name: alias.name }),
        ...(routes.length ? [t("names.deleteRoutes", { names: routes.map(({ name }) => name).join(", ") })] : []),
        t("names.deleteKept", { target: alias.target }),
      ]}
      typeToConfirm={alias.name}
      onConfirm={async () => {
        await api.delete("/api/aliases/{name}", { path: { name: alias.name } });
        await refresh();
      }}
    />
  );
}

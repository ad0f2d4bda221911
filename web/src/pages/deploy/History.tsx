/** Who changed what, newest first; every version can be brought back. */
import { Button, Tag } from "antd";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useMay } from "../../app";
import { EmptyState, ServerTable, Time, type Column } from "../../ui";
import { usePrincipals, type Route } from "../run";
import { Differences } from "./Differences";
import { historyOf, type Version } from "./versions";
import { useRollback } from "./rollback";

/** `current` is null for a route that was deleted. */
export function RouteHistory({ name, current }: { name: string; current: Route | null }) {
  const { t } = useTranslation("deploy");
  const nameOf = usePrincipals();
  const mayWrite = useMay()("serving:write");
  const back = useRollback(name, current?.version ?? null);
  const fetchPage = useMemo(() => historyOf(name), [name]);
  const columns: Column<Version>[] = [
    {
      key: "version",
      title: t("history.version"),
      render: (row) => (
        <span className="number">
          {row.number} {row.number === current?.version && <Tag color="blue">{t("history.current")}</Tag>}
        </span>
      ),
    },
    {
      key: "action",
      title: t("history.action"),
      render: (row) => t(`history.actions.${row.action}`, { version: row.restored ?? "" }),
    },
    { key: "who", title: t("history.who"), render: (row) => nameOf(row.changedBy) },
    { key: "when", title: t("history.when"), render: (row) => <Time at={row.createdAt} /> },
    { key: "what", title: t("history.what"), render: (row) => <Differences before={row.before} after={row.plan} /> },
    {
      key: "back",
      title: <span className="unseen">{t("history.back")}</span>,
      render: (row) =>
        mayWrite && row.plan && row.number !== current?.version ? (
          <Button
            size="small"
            loading={back.isPending && back.variables === row.number}
            onClick={() => back.mutate(row.number)}
            aria-label={t("history.backTo", { version: row.number })}
          >
            {t("history.back")}
          </Button>
        ) : null,
    },
  ];
  return (
    <ServerTable
      label={t("history.label", { name })}
      queryKey={["routes", "history", name]}
      fetchPage={fetchPage}
      rowKey={(row) => row.id}
      columns={columns}
      empty={<EmptyState title={t("history.empty")} />}
    />
  );
}

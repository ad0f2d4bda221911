/** A table over one of the API's cursor lists: the server pages, so that 100,000 rows cost what 20 cost. */
import { LeftOutlined, ReloadOutlined, RightOutlined } from "@ant-design/icons";
import { keepPreviousData, useQuery, type QueryKey } from "@tanstack/react-query";
import { Button, Flex, Select, Table } from "antd";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { PageFetcher } from "../api";
import { ErrorState } from "./page";

export interface Column<Row> {
  key: string;
  title: ReactNode;
  render: (row: Row) => ReactNode;
  align?: "left" | "right";
  width?: number | string;
}

interface ServerTableProps<Row> {
  /** What the table lists; read out by screen readers. */
  label: string;
  /** Key of the query; invalidate it after a change. Include every filter. */
  queryKey: QueryKey;
  fetchPage: PageFetcher<Row>;
  rowKey: (row: Row) => string;
  columns: Column<Row>[];
  empty: ReactNode;
  /** Called when a row is chosen by click or Enter. */
  onOpen?: (row: Row) => void;
  /** Fetch again every so often while the tab is visible. */
  refreshMilliseconds?: number;
}

const SIZES = [20, 50, 100];

export function ServerTable<Row extends object>(props: ServerTableProps<Row>) {
  const { t } = useTranslation();
  const [limit, setLimit] = useState(20);
  // the cursors of the pages before this one; the API's lists only go forward. Of another list they mean nothing
  const list = JSON.stringify([props.queryKey, limit]);
  const [position, setPosition] = useState<{ list: string; cursors: string[] }>({ list, cursors: [] });
  const cursors = position.list === list ? position.cursors : [];
  const setCursors = (next: string[]) => setPosition({ list, cursors: next });
  const after = cursors.at(-1);
  const query = useQuery({
    queryKey: [...props.queryKey, { after, limit }],
    queryFn: ({ signal }) => props.fetchPage({ after, limit, signal }),
    placeholderData: keepPreviousData,
    refetchInterval: props.refreshMilliseconds ?? false,
  });
  if (query.error) return <ErrorState error={query.error} retry={() => void query.refetch()} />;
  const { onOpen } = props;
  const page = query.data;
  const next = page?.has_more ? page.last_id : null;
  return (
    <div role="region" aria-label={props.label} className="server-table">
      <div className="scroll" tabIndex={0} role="group" aria-label={props.label}>
        <Table<Row>
        size="middle"
        loading={page === undefined || query.isPlaceholderData}
        dataSource={page?.data ?? []}
        rowKey={props.rowKey}
        columns={props.columns.map((column) => ({ ...column, render: (_: unknown, row: Row) => column.render(row) }))}
        pagination={false}
        locale={{ emptyText: page === undefined ? " " : props.empty }}
        {...(onOpen && { onRow: (row: Row) => openable(row, onOpen) })}
      />
      </div>
      {(cursors.length > 0 || next) && (
        <Flex gap={8} align="center" justify="end" className="pager">
          <Button icon={<ReloadOutlined />} aria-label={t("ui.refresh")} onClick={() => void query.refetch()} />
          <Select
            aria-label={t("ui.pageSize")}
            value={limit}
            onChange={setLimit}
            options={SIZES.map((size) => ({ value: size, label: t("ui.perPage", { count: size }) }))}
          />
          <Button
            icon={<LeftOutlined />}
            aria-label={t("ui.previousPage")}
            disabled={cursors.length === 0}
            onClick={() => setCursors(cursors.slice(0, -1))}
          />
          <span aria-live="polite">{t("ui.page", { number: cursors.length + 1 })}</span>
          <Button
            icon={<RightOutlined />}
            aria-label={t("ui.nextPage")}
            disabled={!next || query.isPlaceholderData}
            onClick={() => next && setCursors([...cursors, next])}
          />
        </Flex>
      )}
    </div>
  );
}

function openable<Row>(row: Row, open: (row: Row) => void) {
  return {
    tabIndex: 0,
    className: "openable",
    onClick: () => open(row),
    onKeyDown: (event: React.KeyboardEvent) => {
      if (event.key === "Enter" && event.target === event.currentTarget) open(row);
    },
  };
}

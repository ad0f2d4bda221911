/** Who used what, and what it cost: a table, and the same as a file. */
import { DownloadOutlined } from "@ant-design/icons";
import { Button, Flex, Table } from "antd";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { send } from "../../api";
import { decimalOfNanos, Money, numberText, Section, useNotify } from "../../ui";
import { entriesOf, type Entry } from "./entries";
import { csvOf, download } from "./csv";
import { useGroupNames } from "./names";
import type { CostRow, UsageRow } from "./reports";
import { addressOfPeriod, type View } from "./view";

interface BreakdownProps {
  view: View;
  usage: UsageRow[];
  costs: CostRow[];
}

export function Breakdown({ view, usage, costs }: BreakdownProps) {
  const { t, i18n } = useTranslation("usage");
  const nameOf = useGroupNames(view.grouping);
  const entries = useMemo(() => entriesOf(usage, costs, view.grouping), [usage, costs, view.grouping]);
  const count = (value: number) => numberText(value, i18n.language);
  const tokens = (row: Entry, value: number) => (row.counted ? count(value) : "–");
  const title = t("breakdown", { by: t(`groupings.${view.grouping}`) });
  return (
    <Section title={title} extra={<Downloads view={view} entries={entries} nameOf={nameOf} />}>
      <div role="region" aria-label={title}>
        <Table<Entry>
          size="middle"
          dataSource={entries}
          rowKey="group"
          pagination={entries.length > 50 ? { pageSize: 50, showSizeChanger: false } : false}
          scroll={{ x: "max-content" }}
          columns={[
            { key: "group", title: t(`groupings.${view.grouping}`), render: (_, row) => nameOf(row.group) },
            number("requests", t("measures.requests"), (row) => count(row.requests), (row) => row.requests),
            number("input", t("totals.input"), (row) => tokens(row, row.input), (row) => row.input),
            number("cached", t("cachedShort"), (row) => tokens(row, row.cached), (row) => row.cached),
            number("output", t("totals.output"), (row) => tokens(row, row.output), (row) => row.output),
            { key: "cost", align: "right", title: t("measures.cost"), render: (_, row) => <Costs entry={row} /> },
          ]}
        />
      </div>
      {view.grouping === "model" && entries.some((entry) => !entry.counted) && <p className="quiet">{t("askedAndAnswered")}</p>}
    </Section>
  );
}

function number(key: string, title: string, text: (row: Entry) => string, value: (row: Entry) => number) {
  return {
    key,
    title,
    align: "right" as const,
    sorter: (a: Entry, b: Entry) => value(a) - value(b),
    render: (_: unknown, row: Entry) => <span className="number">{text(row)}</span>,
  };
}

function Costs({ entry }: { entry: Entry }) {
  const { t } = useTranslation("usage");
  if (entry.costs.size === 0 && entry.unpriced === 0) return <span className="quiet">–</span>;
  return (
    <>
      {[...entry.costs].map(([currency, nanos]) => (
        <div key={currency}>
          <Money nanos={nanos} currency={currency} />
        </div>
      ))}
      {entry.unpriced > 0 && <div className="quiet">{t("totals.unpriced", { count: entry.unpriced })}</div>}
    </>
  );
}

interface DownloadsProps {
  view: View;
  entries: Entry[];
  nameOf: (group: string) => string;
}

function Downloads({ view, entries, nameOf }: DownloadsProps) {
  const { t } = useTranslation("usage");
  const { from, to } = addressOfPeriod(view.period);
  const table = () => download(`usage-by-${view.grouping}-${from}-${to}.csv`, csvOf(rowsOf(view, entries, nameOf)));
  return (
    <Flex gap={8} wrap>
      <Button size="small" icon={<DownloadOutlined />} onClick={table}>
        {t("download.table")}
      </Button>
      <Export view={view} kind="usage" />
      <Export view={view} kind="costs" />
    </Flex>
  );
}

/** One line a group and currency; a group without costs has one with an empty amount. */
export function rowsOf(view: View, entries: readonly Entry[], nameOf: (group: string) => string) {
  const head = [view.grouping, "name", "requests", "input_tokens", "cached_tokens", "output_tokens", "amount", "currency"];
  const lines = entries.flatMap((entry) => {
    const { group, requests, input, cached, output } = entry;
    const costs: [string, bigint | null][] = entry.costs.size > 0 ? [...entry.costs] : [["", null]];
    return costs.map(([currency, nanos], index) => {
      // usage stands once, so that a sum over the column is right
      const tokens = entry.counted ? [input, cached, output] : [null, null, null];
      const counts = index === 0 ? [requests, ...tokens] : [null, null, null, null];
      return [group, nameOf(group), ...counts, nanos === null ? null : decimalOfNanos(nanos), currency || null];
    });
  });
  return [head, ...lines];
}

/** Every record of the period, as the platform writes it. */
function Export({ view, kind }: { view: View; kind: "usage" | "costs" }) {
  const { t } = useTranslation("usage");
  const notify = useNotify();
  const [pending, setPending] = useState(false);
  const { start, end } = view.period;
  const { from, to } = addressOfPeriod(view.period);
  const fetchFile = async () => {
    setPending(true);
    try {
      const response = await send("GET", `/api/${kind}/export?since=${start}&until=${end}`, { scope: view.scope });
      download(`${kind}-${from}-${to}.csv`, await response.blob());
    } catch (error) {
      notify.failure(error);
    } finally {
      setPending(false);
    }
  };
  return (
    <Button size="small" icon={<DownloadOutlined />} loading={pending} onClick={fetchFile}>
      {t(`download.${kind}`)}
    </Button>
  );
}

/** How many rows each split and each label has; a table whose bars are only for the eye. */
import { Table } from "antd";
import { useTranslation } from "react-i18next";
import { numberText, percentText } from "../../../ui";
import type { Version } from "../types";
import { statisticsOf, type Statistics } from "./shares";

const LABELS_A_PAGE = 20;

export function Counts({ statistics }: { statistics: Version["statistics"] }) {
  const counts = statisticsOf(statistics);
  return (
    <>
      <SplitCounts counts={counts} />
      {counts.labels.length > 0 && <LabelCounts counts={counts} />}
    </>
  );
}

function SplitCounts({ counts }: { counts: Statistics }) {
  const { t, i18n } = useTranslation("data");
  return (
    <Table
      size="small"
      caption={t("counts.splits")}
      dataSource={counts.splits}
      rowKey="name"
      pagination={false}
      columns={[
        { key: "name", title: t("splits.split"), render: (_, split) => split.name },
        { key: "rows", title: t("rows.count"), align: "right", render: (_, split) => numberText(split.rows, i18n.language) },
        { key: "share", title: t("counts.share"), render: (_, split) => <Share part={split.rows} whole={counts.rows} /> },
      ]}
    />
  );
}

function LabelCounts({ counts }: { counts: Statistics }) {
  const { t, i18n } = useTranslation("data");
  const number = (value: number) => numberText(value, i18n.language);
  const splits = counts.splits.length > 1 ? counts.splits : [];
  return (
    <div className="scroll">
      <Table
        size="small"
        caption={t("counts.labels", { count: counts.labels.length })}
        dataSource={counts.labels.map(([name, rows]) => ({ name, rows }))}
        rowKey="name"
        pagination={{ pageSize: LABELS_A_PAGE, hideOnSinglePage: true, showSizeChanger: false }}
        columns={[
          { key: "name", title: t("counts.label"), render: (_, label) => label.name },
          { key: "rows", title: t("rows.count"), align: "right", render: (_, label) => number(label.rows) },
          ...splits.map((split) => ({
            key: `split ${split.name}`,
            title: split.name,
            align: "right" as const,
            render: (_: unknown, label: { name: string }) => number(split.labels[label.name] ?? 0),
          })),
          { key: "share", title: t("counts.share"), render: (_, label) => <Share part={label.rows} whole={counts.rows} /> },
        ]}
      />
    </div>
  );
}

function Share({ part, whole }: { part: number; whole: number }) {
  const { i18n } = useTranslation();
  const share = whole > 0 ? part / whole : 0;
  return (
    <span className="data-share number">
      <span className="data-bar" aria-hidden="true">
        <span style={{ width: `${share * 100}%` }} />
      </span>
      {percentText(share, i18n.language)}
    </span>
  );
}

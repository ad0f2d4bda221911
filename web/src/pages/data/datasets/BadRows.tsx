/** Rows that the API cannot use: where each is, and why. */
import { Alert, Table } from "antd";
import { useTranslation } from "react-i18next";
import { numberText } from "../../../ui";
import type { RowProblem } from "../types";

interface Props {
  rows: readonly RowProblem[];
  /** How many are bad in all; the API lists the first hundred. */
  total: number;
}

export function BadRows({ rows, total }: Props) {
  const { t, i18n } = useTranslation("data");
  if (total === 0) return null;
  const count = numberText(total, i18n.language);
  const described = rows.map((row, index) => ({ ...row, key: index }));
  return (
    <>
      <Alert
        type="error"
        showIcon
        role="alert"
        className="form-error"
        title={t("badRows.title", { count: total, number: count })}
        description={t("badRows.next")}
      />
      <div className="scroll">
        <Table
          size="small"
          dataSource={described}
          pagination={described.length > 20 ? { pageSize: 20, showSizeChanger: false } : false}
          caption={rows.length < total ? t("badRows.first", { count: rows.length, total: count }) : t("badRows.all")}
          columns={[
            { key: "line", title: t("badRows.line"), align: "right", render: (_, row) => numberText(row.line, i18n.language) },
            { key: "column", title: t("badRows.column"), render: (_, row) => (row.column ? <code>{row.column}</code> : t("badRows.wholeRow")) },
            { key: "reason", title: t("badRows.reason"), render: (_, row) => <Reason row={row} /> },
          ]}
        />
      </div>
    </>
  );
}

function Reason({ row }: { row: RowProblem }) {
  const { t } = useTranslation("data");
  const words = t(`rowCodes.${row.code}`, { defaultValue: "" });
  // the API says exactly what it found, in English; our words say it in the chosen language
  return (
    <>
      {words || row.reason}
      {words && words !== row.reason && (
        <div className="quiet" lang="en">
          {row.reason}
        </div>
      )}
    </>
  );
}

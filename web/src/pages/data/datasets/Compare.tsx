/** What differs between two versions of a dataset, by what the API counts: rows, splits, labels, hash. */
import { Button, Table } from "antd";
import { useTranslation } from "react-i18next";
import { numberText, Section } from "../../../ui";
import type { Version } from "../types";
import { differences, type Difference } from "./differences";

interface Props {
  before: Version;
  after: Version;
  onClose: () => void;
}

export function Compare({ before, after, onClose }: Props) {
  const { t, i18n } = useTranslation("data");
  const number = (value: number) => numberText(value, i18n.language);
  const nameOf = (line: Difference) =>
    line.kind === "rows" ? t("rows.count") : t(`compare.${line.kind}`, { name: line.name });
  return (
    <Section
      title={t("compare.heading", { before: before.version, after: after.version })}
      extra={<Button onClick={onClose}>{t("compare.close")}</Button>}
    >
      <p>{before.instruction === after.instruction ? t("compare.sameInstruction") : t("compare.otherInstruction")}</p>
      <Table<Difference>
        size="small"
        caption={t("compare.caption")}
        dataSource={differences(before, after)}
        rowKey={(line) => `${line.kind} ${line.name}`}
        pagination={{ pageSize: 20, hideOnSinglePage: true, showSizeChanger: false }}
        columns={[
          { key: "name", title: t("compare.what"), render: (_, line) => nameOf(line) },
          { key: "before", title: t("versions.number", { number: before.version }), align: "right", render: (_, line) => number(line.before) },
          { key: "after", title: t("versions.number", { number: after.version }), align: "right", render: (_, line) => number(line.after) },
          { key: "change", title: t("compare.change"), align: "right", render: (_, line) => <Change value={line.after - line.before} /> },
        ]}
      />
    </Section>
  );
}

function Change({ value }: { value: number }) {
  const { i18n } = useTranslation();
  const text = new Intl.NumberFormat(i18n.language, { signDisplay: "exceptZero" }).format(value);
  return value === 0 ? <span className="quiet">{text}</span> : <strong>{text}</strong>;
}

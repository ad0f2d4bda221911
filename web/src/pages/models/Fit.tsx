/** What serving and tuning would take of this machine's memory: the API's estimate as a table, with bars for the eye. */
import { Table } from "antd";
import { useTranslation } from "react-i18next";
import { bytesText } from "../../ui";
import { sourceOf, type BaseModel } from "./model";
import { FitTags } from "./parts";

export function Fit({ base }: { base: BaseModel }) {
  const { t, i18n } = useTranslation("models");
  const { fit } = base;
  if (sourceOf(base).kind === "remote") return <p>{t("fit.remoteHint")}</p>;
  const rows = [
    { key: "serve", bytes: fit.serve_bytes },
    ...(base.capabilities.includes("tune") ? [{ key: "tune", bytes: fit.tune_bytes }] : []),
    { key: "available", bytes: fit.available_bytes },
    { key: "total", bytes: fit.total_bytes },
  ];
  return (
    <>
      <FitTags base={base} />
      <Table
        size="small"
        className="models-fit"
        caption={t("fit.caption")}
        dataSource={rows}
        pagination={false}
        columns={[
          { key: "what", title: t("fit.what"), render: (_, row) => t(`fit.rows.${row.key}`) },
          { key: "bytes", title: t("fit.memory"), align: "right", render: (_, row) => bytesText(row.bytes, i18n.language) },
          { key: "bar", title: t("fit.share"), render: (_, row) => <Bar part={row.bytes} whole={fit.total_bytes} /> },
        ]}
      />
      <p className="quiet">{t("fit.estimate")}</p>
    </>
  );
}

function Bar({ part, whole }: { part: number; whole: number }) {
  const { i18n } = useTranslation();
  const share = whole > 0 ? part / whole : 0;
  const text = new Intl.NumberFormat(i18n.language, { style: "percent", maximumFractionDigits: 0 }).format(share);
  return (
    <span className="models-share number">
      <span className={share > 1 ? "models-meter models-over" : "models-meter"} aria-hidden="true">
        <span style={{ width: `${Math.min(1, share) * 100}%` }} />
      </span>
      {text}
    </span>
  );
}

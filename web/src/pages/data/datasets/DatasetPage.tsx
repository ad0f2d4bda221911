/** One dataset: its versions, newest first. */
import { CheckOutlined } from "@ant-design/icons";
import { Button } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate, useParams } from "react-router";
import { api } from "../../../api";
import { bytesText, Code, EmptyState, numberText, PageHeader, Section, ServerTable, Time, type Column } from "../../../ui";
import { DATASETS, type Version } from "../types";
import { Compare } from "./Compare";
import { SplitText } from "./SplitText";

export function DatasetPage() {
  const { t, i18n } = useTranslation("data");
  const navigate = useNavigate();
  const name = useParams().name ?? "";
  const [chosen, setChosen] = useState<Version[]>([]);
  const linkTo = (version: Version) => `/data/versions/${encodeURIComponent(version.id)}`;
  const toggle = (version: Version) =>
    setChosen((before) =>
      before.some((item) => item.id === version.id)
        ? before.filter((item) => item.id !== version.id)
        : [...before.slice(-1), version],
    );
  const columns: Column<Version>[] = [
    { key: "number", title: t("versions.version"), render: (version) => <Link to={linkTo(version)}>{t("versions.number", { number: version.version })}</Link> },
    { key: "rows", title: t("rows.count"), align: "right", render: (version) => numberText(version.rows, i18n.language) },
    { key: "format", title: t("format"), render: (version) => t(`formats.${version.format}`, { defaultValue: version.format }) },
    { key: "splits", title: t("splits.title"), render: (version) => <SplitText version={version} /> },
    { key: "hash", title: t("versions.hash"), render: (version) => <Code>{version.content_hash.slice(0, 12)}</Code> },
    { key: "size", title: t("size"), align: "right", render: (version) => bytesText(version.bytes, i18n.language) },
    { key: "created", title: t("created"), render: (version) => <Time at={version.created_at} /> },
    { key: "compare", title: t("compare.title"), render: (version) => <Choose version={version} chosen={chosen} onToggle={toggle} /> },
  ];
  const [first, second] = [...chosen].sort((a, b) => a.version - b.version);
  return (
    <>
      <PageHeader
        title={name}
        intro={t("datasets.intro")}
        actions={<Link to="/data/datasets">{t("datasets.back")}</Link>}
      />
      {first && second && <Compare before={first} after={second} onClose={() => setChosen([])} />}
      <Section title={t("versions.heading")}>
        <ServerTable<Version>
          label={t("versions.heading")}
          queryKey={[...DATASETS, "versions", name]}
          fetchPage={({ signal, after, limit }) =>
            api.get("/api/datasets/{name}/versions", { path: { name }, query: { after: after ?? null, limit }, signal })
          }
          rowKey={(version) => version.id}
          onOpen={(version) => void navigate(linkTo(version))}
          columns={columns}
          empty={<EmptyState title={t("versions.none")} />}
        />
      </Section>
    </>
  );
}

function Choose({ version, chosen, onToggle }: { version: Version; chosen: Version[]; onToggle: (version: Version) => void }) {
  const { t } = useTranslation("data");
  const isChosen = chosen.some((item) => item.id === version.id);
  return (
    <Button
      size="small"
      type={isChosen ? "primary" : "default"}
      icon={isChosen && <CheckOutlined />}
      aria-pressed={isChosen}
      aria-label={t("compare.choose", { number: version.version })}
      onClick={(event) => {
        event.stopPropagation();
        onToggle(version);
      }}
    >
      {t("compare.action")}
    </Button>
  );
}

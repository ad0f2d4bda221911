/** One immutable version: what it is, where it came from, what was made of it, and its rows. */
import { useQuery } from "@tanstack/react-query";
import { Flex } from "antd";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import { api } from "../../../api";
import { useMay } from "../../../app";
import { bytesText, Code, Loaded, numberText, PageHeader, Section, Time } from "../../../ui";
import { DATASETS, type Version } from "../types";
import { Counts } from "./Counts";
import { Derive } from "./Derive";
import { Export } from "./Export";
import { Lineage } from "./Lineage";
import { Rows } from "./Rows";
import { SplitText } from "./SplitText";

export function VersionPage() {
  const { t } = useTranslation("data");
  const versionId = useParams().versionId ?? "";
  const query = useQuery({
    queryKey: [...DATASETS, "version", versionId],
    queryFn: ({ signal }) => api.get("/api/dataset_versions/{version_id}", { path: { version_id: versionId }, signal }),
  });
  const version = query.data;
  const title = version ? t("versions.title", { name: version.dataset, number: version.version }) : versionId;
  return (
    <>
      <PageHeader title={title} intro={t("versions.intro")} actions={version && <VersionActions version={version} />} />
      <Loaded query={query} rows={8}>
        {(found) => (
          <>
            <div className="cards">
              <Section title={t("versions.facts")}>
                <Facts version={found} />
              </Section>
              <Section title={t("lineage.title")}>
                <Lineage version={found} />
              </Section>
            </div>
            <div className="data-gap" />
            <Section title={t("counts.title")}>
              <Counts statistics={found.statistics} />
            </Section>
            <Rows version={found} />
          </>
        )}
      </Loaded>
    </>
  );
}

function VersionActions({ version }: { version: Version }) {
  const { t } = useTranslation("data");
  const may = useMay();
  return (
    <Flex gap={8} align="center" wrap>
      <Link to={`/data/datasets/${encodeURIComponent(version.dataset)}`}>{t("versions.all")}</Link>
      <Export version={version} />
      {may("data:write") && <Derive version={version} />}
    </Flex>
  );
}

function Facts({ version }: { version: Version }) {
  const { t, i18n } = useTranslation("data");
  const facts = [
    { name: t("versions.id"), value: <Code copy>{version.id}</Code> },
    { name: t("versions.hash"), value: <Code copy>{version.content_hash}</Code> },
    { name: t("format"), value: t(`formats.${version.format}`, { defaultValue: version.format }) },
    { name: t("rows.count"), value: numberText(version.rows, i18n.language) },
    { name: t("size"), value: bytesText(version.bytes, i18n.language) },
    { name: t("splits.title"), value: <SplitText version={version} /> },
    { name: t("splits.seed"), value: <span className="number">{version.split_seed}</span> },
    { name: t("new.instruction"), value: version.instruction ?? t("versions.noInstruction") },
    { name: t("created"), value: <Time at={version.created_at} absolute /> },
  ];
  return (
    <>
      <dl className="facts">
        {facts.map(({ name, value }) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd className="data-long">{value}</dd>
          </div>
        ))}
      </dl>
      <p className="quiet">{t("versions.hashHint")}</p>
    </>
  );
}

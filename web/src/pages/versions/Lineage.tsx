/** Where a version came from, and what uses it. */
import { ArrowRightOutlined } from "@ant-design/icons";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { api } from "../../api";
import { useMay } from "../../app";
import { Code, Time } from "../../ui";
import { linkTo, type Version } from "./types";
import type { Uses } from "./uses";

export function Lineage({ version, uses }: { version: Version; uses: Uses }) {
  const { t } = useTranslation("versions");
  return (
    <div className="flow">
      <Side title={t("lineage.from")}>
        <Item label={t("base")}>{version.base}</Item>
        {version.parent && (
          <Item label={t("lineage.parent")}>
            <Link to={linkTo(version.parent)}>{version.parent}</Link>
          </Item>
        )}
        {version.dataset_version_id && <Data id={version.dataset_version_id} />}
        {version.job_id && (
          <Item label={t("job")}>
            <Link to={`/tune/${version.job_id}`}>{version.job_id}</Link>
          </Item>
        )}
      </Side>
      <ArrowRightOutlined className="flow-arrow" aria-hidden />
      <div className="flow-here">
        <strong>{version.checkpoint_step === null ? t("final") : t("checkpoint", { step: version.checkpoint_step })}</strong>
        <div>
          <Code>{version.id}</Code>
        </div>
        <div className="quiet">
          <Time at={version.created_at} absolute />
        </div>
        <Siblings versions={uses.siblings} />
      </div>
      <ArrowRightOutlined className="flow-arrow" aria-hidden />
      <Side title={t("lineage.to")} empty={t("lineage.unused")}>
        {uses.aliases.map(({ name }) => (
          <Item key={`name ${name}`} label={t("lineage.name")}>
            <Link to="/versions/names">{name}</Link>
          </Item>
        ))}
        {uses.routes.map(({ name }) => (
          <Item key={`route ${name}`} label={t("lineage.route")}>
            <Link to={`/deploy/routes/${encodeURIComponent(name)}`}>{name}</Link>
          </Item>
        ))}
        {uses.deployments.map(({ id, status }) => (
          <Item key={id} label={t("lineage.deployment")}>
            <Link to="/deploy">{id}</Link> <span className="quiet">{t(`lineage.states.${status}`, { defaultValue: status })}</span>
          </Item>
        ))}
        {uses.children.map(({ id }) => (
          <Item key={id} label={t("lineage.child")}>
            <Link to={linkTo(id)}>{id}</Link>
          </Item>
        ))}
      </Side>
    </div>
  );
}

function Side({ title, empty, children }: { title: string; empty?: string; children: ReactNode }) {
  const nothing = Array.isArray(children) && children.flat().filter(Boolean).length === 0;
  return (
    <div>
      <h3>{title}</h3>
      {nothing ? <p className="quiet">{empty}</p> : <ul>{children}</ul>}
    </div>
  );
}

function Item({ label, children }: { label: string; children: ReactNode }) {
  return (
    <li>
      <div className="quiet">{label}</div>
      {children}
    </li>
  );
}

/** The data version and the files that it was read from. */
function Data({ id }: { id: string }) {
  const { t } = useTranslation("versions");
  const query = useQuery({
    queryKey: ["dataset-versions", id],
    enabled: useMay()("data:read"),
    retry: false,
    queryFn: ({ signal }) => api.get("/api/dataset_versions/{version_id}", { path: { version_id: id }, signal }),
  });
  const data = query.data;
  const sources = data?.sources ?? [];
  return (
    <Item label={t("lineage.data")}>
      <Link to={`/data/versions/${id}`}>{data ? t("lineage.dataName", { name: data.dataset, number: data.version }) : id}</Link>
      {data && <span className="quiet"> {t("lineage.rows", { count: data.rows })}</span>}
      {query.isError && <span className="quiet"> {t("lineage.dataGone")}</span>}
      {sources.map((source) => (
        <div key={source.id} className="quiet">
          {t(`lineage.sources.${source.kind}`, { defaultValue: source.kind })} <Code>{source.id}</Code>
        </div>
      ))}
    </Item>
  );
}

function Siblings({ versions }: { versions: readonly Version[] }) {
  const { t } = useTranslation("versions");
  if (versions.length === 0) return null;
  return (
    <details>
      <summary>{t("lineage.siblings", { count: versions.length })}</summary>
      <ul>
        {versions.map(({ id, checkpoint_step: step }) => (
          <li key={id}>
            <Link to={linkTo(id)}>{step === null ? t("final") : t("checkpoint", { step })}</Link>
          </li>
        ))}
      </ul>
    </details>
  );
}

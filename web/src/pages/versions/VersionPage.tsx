/** One version: lineage both ways, reports, artefacts, and what can be done with it. */
import { useQuery } from "@tanstack/react-query";
import { Alert } from "antd";
import { useTranslation } from "react-i18next";
import { useNavigate, useParams } from "react-router";
import { api } from "../../api";
import { useMay, useProject } from "../../app";
import { Code, Loaded, PageHeader, Section, Time } from "../../ui";
import { Artefacts } from "./Artefacts";
import { DeleteVersion } from "./DeleteVersion";
import { Lineage } from "./Lineage";
import { PointName } from "./PointName";
import { useRefresh, useUses } from "./queries";
import { Recipe } from "./Recipe";
import { Reports } from "./Reports";
import { VERSIONS_KEY, type Version } from "./types";
import { shortName } from "./uses";

export function VersionPage() {
  const { versionId = "" } = useParams();
  const { t } = useTranslation("versions");
  useRefresh();
  const query = useQuery({
    queryKey: [...VERSIONS_KEY, versionId],
    queryFn: ({ signal }) => api.get("/api/versions/{version}", { path: { version: versionId }, signal }),
  });
  return (
    <>
      <PageHeader
        title={t("page.title", { name: shortName(versionId) })}
        intro={<Code copy>{versionId}</Code>}
        help="docs/versions"
        actions={query.data && <Actions version={query.data} />}
      />
      <Loaded query={query} rows={8}>
        {(version) => <Details version={version} />}
      </Loaded>
    </>
  );
}

function Actions({ version }: { version: Version }) {
  const { t } = useTranslation("versions");
  const may = useMay()("models:write");
  const navigate = useNavigate();
  const project = useProject();
  const refresh = useRefresh();
  const { uses, known } = useUses(version);
  if (!may || version.deleted_at !== null) return null;
  return (
    <>
      <PointName target={version.id} button={t("page.giveName")} />
      {version.project_id === project?.id && (
        <DeleteVersion
          version={version}
          uses={uses}
          disabled={!known}
          onDeleted={async () => {
            void navigate("/versions");
            await refresh();
          }}
        />
      )}
    </>
  );
}

function Details({ version }: { version: Version }) {
  const { t } = useTranslation("versions");
  const { uses } = useUses(version);
  return (
    <>
      {version.deleted_at !== null && (
        <Alert
          type="warning"
          showIcon
          className="form-error"
          title={t("page.deleted")}
          description={<Time at={version.deleted_at} absolute />}
        />
      )}
      <Section title={t("lineage.title")}>
        <Lineage version={version} uses={uses} />
      </Section>
      <Reports reports={version.reports ?? []} />
      <div className="cards">
        <Recipe version={version} />
      </div>
      <Artefacts version={version} />
    </>
  );
}

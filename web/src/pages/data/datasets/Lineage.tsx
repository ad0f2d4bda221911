/** One step back (files, versions) and one step on (versions, models trained from it). */
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { allOf, api, ApiError } from "../../../api";
import { useMay } from "../../../app";
import { Code, Loaded } from "../../../ui";
import { DATASETS, FILES, type Version } from "../types";

export function Lineage({ version }: { version: Version }) {
  const { t } = useTranslation("data");
  const sources = version.sources ?? [];
  const derived = version.derived ?? [];
  return (
    <>
      <h3>{t("lineage.sources")}</h3>
      {sources.length === 0 && <p className="quiet">{t("lineage.noSources")}</p>}
      <ul>
        {sources.map((edge) => (
          <li key={edge.id}>{edge.kind === "file" ? <SourceFile id={edge.id} /> : <VersionLink id={edge.id} />}</li>
        ))}
      </ul>
      <h3>{t("lineage.derived")}</h3>
      {derived.length === 0 && <p className="quiet">{t("lineage.noDerived")}</p>}
      <ul>
        {derived.map((id) => (
          <li key={id}>
            <VersionLink id={id} />
          </li>
        ))}
      </ul>
      <Trained version={version} />
    </>
  );
}

function SourceFile({ id }: { id: string }) {
  const { t } = useTranslation("data");
  const query = useQuery({
    queryKey: [...FILES, "one", id],
    // the lineage names files that were deleted since
    queryFn: async ({ signal }) => {
      try {
        return (await api.get("/v1/files/{file_id}", { path: { file_id: id }, signal })).filename;
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return null;
        throw error;
      }
    },
  });
  const name = query.data === null ? t("lineage.deletedFile") : (query.data ?? "…");
  return (
    <>
      {t("lineage.file")} {name} <Code>{id}</Code>
    </>
  );
}

function VersionLink({ id }: { id: string }) {
  const { t } = useTranslation("data");
  const query = useQuery({
    queryKey: [...DATASETS, "version", id],
    queryFn: ({ signal }) => api.get("/api/dataset_versions/{version_id}", { path: { version_id: id }, signal }),
  });
  const text = query.data ? t("versions.title", { name: query.data.dataset, number: query.data.version }) : id;
  return <Link to={`/data/versions/${encodeURIComponent(id)}`}>{text}</Link>;
}

function Trained({ version }: { version: Version }) {
  const { t } = useTranslation("data");
  const may = useMay();
  const query = useQuery({
    queryKey: [...DATASETS, "trained", version.id],
    enabled: may("models:read"),
    queryFn: async ({ signal }) => {
      const all = await allOf(({ after, limit, ...rest }) => {
        return api.get("/api/versions", { query: { after: after ?? null, limit }, ...rest });
      }, signal);
      return all.filter((model) => model.dataset_version_id === version.id).map((model) => model.id);
    },
  });
  if (!may("models:read")) return null;
  return (
    <>
      <h3>{t("lineage.models")}</h3>
      <Loaded query={query} rows={1}>
        {(ids) =>
          ids.length === 0 ? (
            <p className="quiet">{t("lineage.noModels")}</p>
          ) : (
            <ul>
              {ids.map((id) => (
                <li key={id}>
                  <Code>{id}</Code>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </>
  );
}

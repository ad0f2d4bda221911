/** All live versions, in the order in which they were made. */
import { Tag } from "antd";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";
import { api } from "../../api";
import { EmptyState, ServerTable, Time } from "../../ui";
import { useAliases, useRefresh } from "./queries";
import { VERSIONS_KEY, linkTo, type Version } from "./types";

export function VersionList() {
  const { t } = useTranslation("versions");
  const navigate = useNavigate();
  const aliases = useAliases().data ?? [];
  useRefresh();
  const namesOf = (version: Version) =>
    aliases
      .filter(({ target }) => target === version.id)
      .map(({ name }) => (
        <Tag key={name}>
          {name}
        </Tag>
      ));
  return (
    <ServerTable<Version>
      label={t("tabs.list")}
      queryKey={VERSIONS_KEY}
      fetchPage={({ signal, ...query }) => api.get("/api/versions", { query, signal })}
      rowKey={(version) => version.id}
      onOpen={(version) => void navigate(linkTo(version.id))}
      empty={<EmptyState title={t("none")} next={t("noneNext")} action={<Link to="/tune/new">{t("toTune")}</Link>} />}
      columns={[
        { key: "id", title: t("version"), render: ({ id }) => <Link to={linkTo(id)}>{id}</Link> },
        {
          key: "kind",
          title: t("kind"),
          render: ({ checkpoint_step: step }) => (step === null ? t("final") : t("checkpoint", { step })),
        },
        { key: "names", title: t("names.title"), render: namesOf },
        { key: "base", title: t("base"), render: ({ base }) => base },
        {
          key: "job",
          title: t("job"),
          render: ({ job_id }) => (job_id ? <Link to={`/tune/${job_id}`}>{job_id}</Link> : "–"),
        },
        { key: "created", title: t("created"), render: ({ created_at }) => <Time at={created_at} /> },
      ]}
    />
  );
}

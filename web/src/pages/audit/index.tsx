/** Who did what and when, newest first. */
import { Flex, Input, Select } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api } from "../../api";
import { useSignedIn } from "../../app";
import { Code, EmptyState, PageHeader, ServerTable, Time } from "../../ui";
import { actorOf, detailOf, type Entry } from "./entries";
import en from "./en.json";
import zh from "./zh.json";

export const texts = { en, zh };

interface Filters {
  types: string[];
  emails: string[];
  projects: string[];
  from: number | null;
  until: number | null;
}

const NONE: Filters = { types: [], emails: [], projects: [], from: null, until: null };

export default function AuditPage() {
  const { t } = useTranslation("audit");
  const [filters, setFilters] = useState(NONE);
  return (
    <>
      <PageHeader title={t("title")} intro={t("intro")} />
      <FilterBar filters={filters} onChange={setFilters} />
      <ServerTable<Entry>
        label={t("title")}
        queryKey={["audit", filters]}
        fetchPage={async ({ signal, after, limit }) => {
          const query = {
            after,
            limit,
            "event_types[]": filters.types,
            "actor_emails[]": filters.emails,
            "project_ids[]": filters.projects,
            "effective_at[gte]": filters.from,
            "effective_at[lt]": filters.until,
          };
          return (await api.get("/v1/organization/audit_logs", { query, signal })) as unknown as { data: Entry[] };
        }}
        rowKey={(entry) => entry.id}
        empty={<EmptyState title={t("none")} next={t("noneNext")} />}
        columns={[
          { key: "time", title: t("time"), render: (entry) => <Time at={entry.effective_at} absolute /> },
          { key: "actor", title: t("actor"), render: (entry) => actorOf(entry) },
          {
            key: "type",
            title: t("action"),
            render: (entry) => (
              <>
                {t(`types.${entry.type.replaceAll(".", "_")}`, { defaultValue: "" })} <code>{entry.type}</code>
              </>
            ),
          },
          { key: "project", title: t("project"), render: (entry) => entry.project?.name ?? entry.project?.id ?? "–" },
          { key: "target", title: t("target"), render: (entry) => <Code>{detailOf(entry).id}</Code> },
          { key: "detail", title: t("detail"), render: (entry) => <Detail entry={entry} /> },
        ]}
      />
    </>
  );
}

function Detail({ entry }: { entry: Entry }) {
  const { rest } = detailOf(entry);
  if (rest.length === 0) return <>–</>;
  return (
    <dl className="facts">
      {rest.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function FilterBar({ filters, onChange }: { filters: Filters; onChange: (filters: Filters) => void }) {
  const { t } = useTranslation("audit");
  const { projects } = useSignedIn();
  const [emails, setEmails] = useState("");
  const change = (part: Partial<Filters>) => onChange({ ...filters, ...part });
  const search = (text: string) => change({ emails: text.split(/[\s,，]+/).filter(Boolean) });
  return (
    <Flex gap={12} wrap align="end" role="search" aria-label={t("filters")} className="page-header">
      <label className="field">
        {t("action")}
        <Select
          mode="tags"
          className="filter"
          aria-label={t("action")}
          placeholder={t("typesHint")}
          value={filters.types}
          onChange={(types: string[]) => change({ types })}
          options={TYPES.map((value) => ({ value, label: value }))}
        />
      </label>
      <label className="field">
        {t("actor")}
        <Input
          className="filter"
          placeholder={t("actorHint")}
          value={emails}
          onChange={(event) => setEmails(event.target.value)}
          onPressEnter={() => search(emails)}
          onBlur={() => search(emails)}
        />
      </label>
      <label className="field">
        {t("project")}
        <Select
          mode="multiple"
          className="filter"
          aria-label={t("project")}
          placeholder={t("typesHint")}
          value={filters.projects}
          onChange={(chosen: string[]) => change({ projects: chosen })}
          options={projects.map(({ id, name }) => ({ value: id, label: name }))}
        />
      </label>
      <label className="field">
        {t("from")}
        <Input type="date" onChange={(event) => change({ from: midnight(event.target.value, 0) })} />
      </label>
      <label className="field">
        {t("until")}
        <Input type="date" onChange={(event) => change({ until: midnight(event.target.value, 1) })} />
      </label>
    </Flex>
  );
}

/** The beginning of a day here, or of the day after it, as unix seconds. */
function midnight(date: string, daysLater: number): number | null {
  if (!date) return null;
  const day = new Date(`${date}T00:00`);
  day.setDate(day.getDate() + daysLater);
  return Number.isNaN(day.getTime()) ? null : day.getTime() / 1000;
}

// offered, not enforced: any other type can be typed
const TYPES = [
  "login.succeeded",
  "login.failed",
  "logout.succeeded",
  "password.changed",
  "password_reset.issued",
  "password_reset.used",
  "role.assignment.created",
  "role.assignment.deleted",
  "api_key.created",
  "api_key.deleted",
  "invite.sent",
  "invite.accepted",
  "user.added",
  "user.updated",
  "user.deleted",
  "project.created",
  "project.updated",
  "project.archived",
  "service_account.created",
  "service_account.deleted",
  "alias.changed",
  "model.deleted",
];

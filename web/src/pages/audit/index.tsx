/** Who did what and when, newest first. */
import { Button, DatePicker, Flex, Form, Input, Select } from "antd";
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
  resources: string[];
  from: number | null;
  until: number | null;
}

const NONE: Filters = { types: [], emails: [], projects: [], resources: [], from: null, until: null };

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
            "resource_ids[]": filters.resources,
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
  const change = (part: Partial<Filters>) => onChange({ ...filters, ...part });
  return (
    <Form layout="inline" className="page-header" role="search" aria-label={t("filters")}>
      <Form.Item label={t("action")} htmlFor="audit-types">
        <Select
          id="audit-types"
          mode="tags"
          className="filter"
          placeholder={t("typesHint")}
          value={filters.types}
          onChange={(types: string[]) => change({ types })}
          options={TYPES.map((value) => ({ value, label: value }))}
        />
      </Form.Item>
      <Form.Item label={t("actor")} htmlFor="audit-actor">
        <Input
          id="audit-actor"
          allowClear
          placeholder={t("actorHint")}
          onPressEnter={(event) => change({ emails: listOf(event.currentTarget.value) })}
          onBlur={(event) => change({ emails: listOf(event.currentTarget.value) })}
        />
      </Form.Item>
      <Form.Item label={t("project")} htmlFor="audit-project">
        <Select
          id="audit-project"
          mode="multiple"
          className="filter"
          value={filters.projects}
          onChange={(chosen: string[]) => change({ projects: chosen })}
          options={projects.map(({ id, name }) => ({ value: id, label: name }))}
        />
      </Form.Item>
      <Form.Item label={t("time")} htmlFor="audit-time">
        <DatePicker.RangePicker
          id={{ start: "audit-time", end: "audit-until" }}
          aria-label={t("time")}
          onChange={(range) =>
            change({
              from: range?.[0]?.startOf("day").unix() ?? null,
              until: range?.[1]?.add(1, "day").startOf("day").unix() ?? null,
            })
          }
        />
      </Form.Item>
      <Flex gap={8}>{filters !== NONE && <Button onClick={() => onChange(NONE)}>{t("clear")}</Button>}</Flex>
    </Form>
  );
}

function listOf(text: string): string[] {
  return text.split(/[\s,，]+/).filter(Boolean);
}

// offered, not enforced: any other type can be typed
const TYPES = [
  "login.succeeded",
  "login.failed",
  "logout.succeeded",
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

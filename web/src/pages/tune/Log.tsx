/** What the job said, newest first. */
import { Table, Tag } from "antd";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Section, Time } from "../../ui";
import { messagesOf } from "./metrics";
import type { JobEvent } from "./types";

const PAGE = 20;

export function Log({ events }: { events: readonly JobEvent[] }) {
  const { t } = useTranslation("tune");
  const messages = useMemo(() => messagesOf(events), [events]);
  return (
    <Section title={t("log.title")}>
      <Table<JobEvent>
        size="small"
        aria-label={t("log.title")}
        rowKey={(event) => event.id}
        dataSource={messages}
        locale={{ emptyText: t("log.none") }}
        pagination={messages.length > PAGE ? { pageSize: PAGE, showSizeChanger: false } : false}
        columns={[
          { key: "time", title: t("log.time"), width: 190, render: (_, event) => <Time at={event.created_at} absolute /> },
          {
            key: "level",
            title: t("log.level"),
            width: 90,
            render: (_, { level }) => <Tag>{t(`log.levels.${level}`, { defaultValue: level })}</Tag>,
          },
          { key: "message", title: t("log.message"), render: (_, event) => event.message },
        ]}
      />
    </Section>
  );
}

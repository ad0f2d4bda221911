/** The engine processes of the chosen project's deployments. */
import { useTranslation } from "react-i18next";
import { api, type Wire } from "../../api";
import { EmptyState, Section, ServerTable, Time } from "../../ui";

export function Engines() {
  const { t } = useTranslation("system");
  return (
    <Section title={t("engines.title")}>
      <ServerTable<Wire<"DeploymentObject">>
        label={t("engines.title")}
        queryKey={["deployments", "system"]}
        fetchPage={({ signal, ...query }) => api.get("/api/deployments", { query, signal })}
        rowKey={(deployment) => deployment.id}
        refreshMilliseconds={10_000}
        empty={<EmptyState title={t("engines.none")} next={t("engines.noneNext")} />}
        columns={[
          { key: "model", title: t("engines.model"), render: (d) => d.model },
          { key: "engine", title: t("engines.engine"), render: (d) => d.engine },
          { key: "status", title: t("engines.status"), render: (d) => t(`engines.statuses.${d.status}`, { defaultValue: d.status }) },
          { key: "reason", title: t("engines.reason"), render: (d) => d.reason ?? "–" },
          { key: "context", title: t("engines.context"), align: "right", render: (d) => d.context_tokens ?? "–" },
          { key: "slots", title: t("engines.slots"), align: "right", render: (d) => d.slots ?? "–" },
          { key: "updated", title: t("engines.updated"), render: (d) => <Time at={d.updated_at} /> },
        ]}
      />
    </Section>
  );
}

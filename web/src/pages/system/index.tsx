/** Whether everything works, and which version it is. */
import { CheckCircleOutlined, ClockCircleOutlined, CloseCircleOutlined, MinusCircleOutlined } from "@ant-design/icons";
import { useQuery } from "@tanstack/react-query";
import { Alert, Flex, Tag } from "antd";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useMay, useSignedIn } from "../../app";
import { Code, Loaded, PageHeader, Section } from "../../ui";
import en from "./en.json";
import { Engines } from "./engines";
import zh from "./zh.json";

export const texts = { en, zh };

interface Health {
  status: "ok" | "degraded" | "unavailable";
  version: string;
  processes: Record<string, string>;
}

/** Not through the client: an answer of 503 is what this page is for. */
async function fetchHealth(signal: AbortSignal): Promise<Health> {
  const response = await fetch("/health", { signal, cache: "no-store" });
  return (await response.json()) as Health;
}

const KINDS = { ok: "success", degraded: "warning", unavailable: "error" } as const;

export default function SystemPage() {
  const { t } = useTranslation("system");
  const may = useMay();
  const query = useQuery({
    queryKey: ["health"],
    queryFn: ({ signal }) => fetchHealth(signal),
    refetchInterval: 5000,
  });
  return (
    <>
      <PageHeader title={t("title")} intro={t("intro")} />
      <Loaded query={query}>
        {(health) => (
          <>
            <Alert
              type={KINDS[health.status]}
              showIcon
              className="form-error"
              role="status"
              title={t(`statuses.${health.status}.title`)}
              description={t(`statuses.${health.status}.next`)}
            />
            <div className="cards">
              <Section title={t("processes.title")}>
                <ul className="plain">
                  {Object.entries(health.processes).map(([name, state]) => (
                    <li key={name}>
                      <Flex justify="space-between" gap={8} className="row">
                        <span>{t(`processes.${name}`, { defaultValue: name })}</span>
                        <State state={state} />
                      </Flex>
                    </li>
                  ))}
                </ul>
              </Section>
              <Versions version={health.version} />
            </div>
          </>
        )}
      </Loaded>
      {may("serving:read") && <Engines />}
    </>
  );
}

const LOOKS: Record<string, { color: string; icon: ReactNode }> = {
  ok: { color: "success", icon: <CheckCircleOutlined /> },
  starting: { color: "processing", icon: <ClockCircleOutlined /> },
  down: { color: "error", icon: <CloseCircleOutlined /> },
  failed: { color: "error", icon: <CloseCircleOutlined /> },
  none: { color: "default", icon: <MinusCircleOutlined /> },
};

function State({ state }: { state: string }) {
  const { t } = useTranslation("system");
  const look = LOOKS[state] ?? { color: "default", icon: null };
  return (
    <Tag color={look.color} icon={look.icon}>
      {t(`states.${state}`, { defaultValue: state })}
    </Tag>
  );
}

function Versions({ version }: { version: string }) {
  const { t } = useTranslation("system");
  const { organization } = useSignedIn();
  return (
    <Section title={t("versions.title")}>
      <dl className="facts">
        <div>
          <dt>{t("versions.platform")}</dt>
          <dd>Plinth {version}</dd>
        </div>
        <div>
          <dt>{t("versions.address")}</dt>
          <dd>
            <Code copy>{`${window.location.origin}/v1`}</Code>
          </dd>
        </div>
        <div>
          <dt>{t("versions.organization")}</dt>
          <dd>
            {organization.name} <Code>{organization.id}</Code>
          </dd>
        </div>
      </dl>
    </Section>
  );
}

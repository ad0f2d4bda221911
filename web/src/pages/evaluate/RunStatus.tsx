import { CheckCircleOutlined, ClockCircleOutlined, CloseCircleOutlined, StopOutlined, SyncOutlined } from "@ant-design/icons";
import { Tag } from "antd";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { stateOf } from "../../app/jobs/source";

const LOOKS: Record<string, { color: string; icon: ReactNode }> = {
  active: { color: "processing", icon: <SyncOutlined /> },
  paused: { color: "warning", icon: <ClockCircleOutlined /> },
  succeeded: { color: "success", icon: <CheckCircleOutlined /> },
  failed: { color: "error", icon: <CloseCircleOutlined /> },
  cancelled: { color: "default", icon: <StopOutlined /> },
};

export function RunStatus({ status }: { status: string }) {
  const { t } = useTranslation("evaluate");
  const look = LOOKS[status === "queued" ? "paused" : stateOf(status)];
  return (
    <Tag color={look?.color ?? "default"} icon={look?.icon}>
      {t(`statuses.${status}`, { defaultValue: status })}
    </Tag>
  );
}

/** Of one item; a sign and a word, not only a colour. */
export function Passed({ status }: { status: string }) {
  const { t } = useTranslation("evaluate");
  const kind = status === "error" ? "error" : status.startsWith("pass") ? "pass" : "fail";
  const look = {
    pass: { color: "success", icon: <CheckCircleOutlined /> },
    fail: { color: "error", icon: <CloseCircleOutlined /> },
    error: { color: "warning", icon: <StopOutlined /> },
  }[kind];
  return (
    <Tag color={look.color} icon={look.icon}>
      {t(`items.${kind}`)}
    </Tag>
  );
}

import {
  CheckCircleOutlined,
  ClockCircleOutlined,
  CloseCircleOutlined,
  PauseCircleOutlined,
  StopOutlined,
  SyncOutlined,
} from "@ant-design/icons";
import { Tag } from "antd";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

const LOOKS: Record<string, { color: string; icon: ReactNode }> = {
  validating_files: { color: "processing", icon: <SyncOutlined /> },
  queued: { color: "default", icon: <ClockCircleOutlined /> },
  running: { color: "processing", icon: <SyncOutlined /> },
  paused: { color: "warning", icon: <PauseCircleOutlined /> },
  succeeded: { color: "success", icon: <CheckCircleOutlined /> },
  failed: { color: "error", icon: <CloseCircleOutlined /> },
  cancelled: { color: "default", icon: <StopOutlined /> },
};

export function JobStatus({ status }: { status: string }) {
  const { t } = useTranslation("tune");
  const look = LOOKS[status] ?? { color: "default", icon: null };
  return (
    <Tag color={look.color} icon={look.icon}>
      {t(`statuses.${status}`, { defaultValue: status })}
    </Tag>
  );
}

import {
  CheckCircleOutlined,
  ClockCircleOutlined,
  CloseCircleOutlined,
  PauseCircleOutlined,
  StopOutlined,
  SyncOutlined,
} from "@ant-design/icons";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { StateTag, type Tone } from "../lab";

const LOOKS: Record<string, { tone: Tone; icon: ReactNode }> = {
  validating_files: { tone: "busy", icon: <SyncOutlined /> },
  queued: { tone: "calm", icon: <ClockCircleOutlined /> },
  running: { tone: "busy", icon: <SyncOutlined /> },
  paused: { tone: "warn", icon: <PauseCircleOutlined /> },
  succeeded: { tone: "good", icon: <CheckCircleOutlined /> },
  failed: { tone: "bad", icon: <CloseCircleOutlined /> },
  cancelled: { tone: "calm", icon: <StopOutlined /> },
};

export function JobStatus({ status }: { status: string }) {
  const { t } = useTranslation("tune");
  const look = LOOKS[status] ?? { tone: "calm" as const, icon: null };
  return (
    <StateTag tone={look.tone} icon={look.icon}>
      {t(`statuses.${status}`, { defaultValue: status })}
    </StateTag>
  );
}

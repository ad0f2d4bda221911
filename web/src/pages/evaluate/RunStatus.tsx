import { CheckCircleOutlined, ClockCircleOutlined, CloseCircleOutlined, StopOutlined, SyncOutlined } from "@ant-design/icons";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { stateOf } from "../../app/jobs/source";
import { StateTag, type Tone } from "../lab";

const LOOKS: Record<string, { tone: Tone; icon: ReactNode }> = {
  active: { tone: "busy", icon: <SyncOutlined /> },
  paused: { tone: "warn", icon: <ClockCircleOutlined /> },
  succeeded: { tone: "good", icon: <CheckCircleOutlined /> },
  failed: { tone: "bad", icon: <CloseCircleOutlined /> },
  cancelled: { tone: "calm", icon: <StopOutlined /> },
};

export function RunStatus({ status }: { status: string }) {
  const { t } = useTranslation("evaluate");
  const look = LOOKS[status === "queued" ? "paused" : stateOf(status)];
  return (
    <StateTag tone={look?.tone ?? "calm"} icon={look?.icon}>
      {t(`statuses.${status}`, { defaultValue: status })}
    </StateTag>
  );
}

/** Of one item; a sign and a word, not only a colour. */
export function Passed({ status }: { status: string }) {
  const { t } = useTranslation("evaluate");
  const kind = status === "error" ? "error" : status.startsWith("pass") ? "pass" : "fail";
  const look = ({
    pass: { tone: "good", icon: <CheckCircleOutlined /> },
    fail: { tone: "bad", icon: <CloseCircleOutlined /> },
    error: { tone: "warn", icon: <StopOutlined /> },
  } satisfies Record<string, { tone: Tone; icon: ReactNode }>)[kind];
  return (
    <StateTag tone={look.tone} icon={look.icon}>
      {t(`items.${kind}`)}
    </StateTag>
  );
}

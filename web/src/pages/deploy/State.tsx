/** The state of a deployment in a word, a sign and a colour, and why it is so. */
import { CheckCircleOutlined, CloseCircleOutlined, LoadingOutlined, MinusCircleOutlined } from "@ant-design/icons";
import { Tag } from "antd";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

const LOOKS: Record<string, { color: string; icon: ReactNode }> = {
  starting: { color: "processing", icon: <LoadingOutlined /> },
  ready: { color: "success", icon: <CheckCircleOutlined /> },
  failed: { color: "error", icon: <CloseCircleOutlined /> },
  stopping: { color: "default", icon: <LoadingOutlined /> },
  stopped: { color: "default", icon: <MinusCircleOutlined /> },
};

export function State({ status, reason }: { status: string; reason: string | null }) {
  const { t, i18n } = useTranslation("deploy");
  const look = LOOKS[status];
  return (
    <div className="deploy-state">
      <Tag {...look}>
        {i18n.exists(`deploy:states.${status}`) ? t(`states.${status}`) : status}
      </Tag>
      {reason && (
        <div className={status === "failed" ? "deploy-problem" : "quiet"}>
          {status === "failed" ? reason : t("lastAttempt", { reason })}
        </div>
      )}
    </div>
  );
}

/** The state of a deployment in a word, a sign and a colour, and why it is so. */
import { CheckCircleOutlined, CloseCircleOutlined, LoadingOutlined, MinusCircleOutlined } from "@ant-design/icons";
import { Tag } from "antd";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

// the word keeps the text's colour: Ant Design's coloured tags are too faint to read
const SIGNS: Record<string, ReactNode> = {
  starting: <LoadingOutlined className="deploy-busy" />,
  ready: <CheckCircleOutlined className="deploy-good" />,
  failed: <CloseCircleOutlined className="deploy-bad" />,
  stopping: <LoadingOutlined className="deploy-busy" />,
  stopped: <MinusCircleOutlined />,
};

export function State({ status, reason }: { status: string; reason: string | null }) {
  const { t, i18n } = useTranslation("deploy");
  return (
    <div className="deploy-state">
      <Tag icon={SIGNS[status]}>
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

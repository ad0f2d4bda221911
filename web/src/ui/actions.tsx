/** Things a person does: dangerous ones with a warning, long ones with progress. */
import { Alert, App, Button, Flex, Input, Modal, Progress, Typography } from "antd";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { durationText } from "./format";
import { useErrorText } from "./page";

interface ConfirmDangerProps {
  /** The button's text, a verb: "Delete key". */
  action: string;
  /** The question in the dialog's title. */
  title: string;
  /** What it will touch, one line each. Say it in full: this is all that a person reads before it is too late. */
  touches: ReactNode[];
  onConfirm: () => Promise<unknown>;
  /** Must be typed before the button works, for what cannot be undone. */
  typeToConfirm?: string;
  disabled?: boolean;
  icon?: ReactNode;
  size?: "small" | "middle";
}

/** A button that first says what it will touch. */
export function ConfirmDanger(props: ConfirmDangerProps) {
  const { t } = useTranslation();
  const textOf = useErrorText();
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState("");
  const [pending, setPending] = useState(false);
  const [failure, setFailure] = useState<unknown>(null);
  const show = () => {
    setTyped("");
    setFailure(null);
    setOpen(true);
  };
  const confirm = async () => {
    setPending(true);
    try {
      await props.onConfirm();
      setOpen(false);
    } catch (error) {
      setFailure(error);
    } finally {
      setPending(false);
    }
  };
  const locked = props.typeToConfirm !== undefined && typed !== props.typeToConfirm;
  return (
    <>
      <Button
        danger
        size={props.size ?? "middle"}
        icon={props.icon}
        disabled={props.disabled ?? false}
        onClick={(event) => {
          event.stopPropagation();
          show();
        }}
      >
        {props.action}
      </Button>
      <Modal
        open={open}
        title={props.title}
        onCancel={() => setOpen(false)}
        onOk={confirm}
        okText={props.action}
        cancelText={t("ui.cancel")}
        okButtonProps={{ danger: true, disabled: locked, loading: pending }}
      >
        {failure !== null && <Alert type="error" showIcon role="alert" title={textOf(failure)} />}
        <Typography.Paragraph>{t("ui.willTouch")}</Typography.Paragraph>
        <ul>
          {props.touches.map((line, index) => (
            <li key={index}>{line}</li>
          ))}
        </ul>
        {props.typeToConfirm !== undefined && (
          <label>
            {t("ui.typeToConfirm", { text: props.typeToConfirm })}
            <Input value={typed} onChange={(event) => setTyped(event.target.value)} autoComplete="off" />
          </label>
        )}
      </Modal>
    </>
  );
}

interface JobProgressProps {
  label: string;
  /** 0 to 1; null while nobody knows. */
  progress: number | null;
  state: "active" | "paused" | "succeeded" | "failed" | "cancelled";
  detail?: ReactNode;
  remainingSeconds?: number | null | undefined;
  onCancel?: () => Promise<unknown>;
}

const STATUS = { active: "active", paused: "normal", succeeded: "success", failed: "exception", cancelled: "normal" } as const;

/** How far a long action is, and a way to stop it. */
export function JobProgress(props: JobProgressProps) {
  const { t, i18n } = useTranslation();
  const percent = Math.floor((props.state === "succeeded" ? 1 : (props.progress ?? 0)) * 100);
  const known = props.progress !== null || props.state === "succeeded";
  return (
    <div className="job-progress">
      <Flex justify="space-between" gap={8}>
        <span>{props.label}</span>
        <span className="quiet">{t(`ui.jobStates.${props.state}`)}</span>
      </Flex>
      <Progress
        aria-label={props.label}
        percent={percent}
        status={STATUS[props.state]}
        size="small"
        format={() => (known ? `${percent} %` : "…")}
      />
      <Flex justify="space-between" gap={8} align="center" className="quiet">
        <span>
          {props.detail}
          {props.state === "active" && typeof props.remainingSeconds === "number" && (
            <> {t("ui.remaining", { time: durationText(props.remainingSeconds, i18n.language) })}</>
          )}
        </span>
        {props.onCancel && props.state === "active" && (
          <Button size="small" onClick={props.onCancel}>
            {t("ui.stop")}
          </Button>
        )}
      </Flex>
    </div>
  );
}

/** Short messages in the corner, read out by screen readers. */
export function useNotify() {
  const { notification } = App.useApp();
  const textOf = useErrorText();
  return {
    success: (title: string, description?: ReactNode) => notification.success({ title, description, role: "status" }),
    info: (title: string, description?: ReactNode) => notification.info({ title, description, role: "status" }),
    failure: (error: unknown) => notification.error({ title: textOf(error), role: "alert", duration: 10 }),
  };
}

/** Files on their way: how far each is, what stopped it, and how it goes on. */
import { Alert, Button, Flex, Upload } from "antd";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { bytesText, JobProgress, useErrorText } from "../../../ui";
import { OtherFile } from "./parts";
import { transfers, useTransfers, type Transfer } from "./transfers";

const JOB_STATES = {
  waiting: "active",
  sending: "active",
  lost: "paused",
  needs_file: "paused",
  failed: "failed",
  done: "succeeded",
} as const;

export function TransferList({ projectId }: { projectId: string }) {
  const { t } = useTranslation("data");
  const list = useTransfers(projectId);
  if (list.length === 0) return null;
  return (
    <ul className="plain" aria-label={t("upload.list")}>
      {list.map((transfer) => (
        <li key={transfer.id}>
          <TransferItem transfer={transfer} />
        </li>
      ))}
    </ul>
  );
}

function TransferItem({ transfer }: { transfer: Transfer }) {
  const { t, i18n } = useTranslation("data");
  const textOf = useErrorText();
  const { id, state, bytes, sentBytes, error } = transfer;
  const moving = JOB_STATES[state] === "active";
  const text = (value: number) => bytesText(value, i18n.language);
  const detail = t(`upload.states.${state}`, { sent: text(sentBytes), total: text(bytes) });
  const remove = () => transfers.remove(id);
  const wrong = error instanceof OtherFile ? t("upload.otherFile", { name: transfer.name }) : null;
  return (
    <>
      <JobProgress
        label={transfer.name}
        progress={bytes > 0 ? Math.min(1, sentBytes / bytes) : null}
        state={JOB_STATES[state]}
        detail={detail}
        {...(moving && { onCancel: remove })}
      />
      {error !== null && <Alert type="error" showIcon role="alert" className="form-error" title={wrong ?? textOf(error)} />}
      {!moving && (
        <Flex gap={8} className="data-transfer-actions">
          {state === "needs_file" && <ChooseAgain transfer={transfer} />}
          {state === "failed" && (
            <Button size="small" onClick={() => transfers.resume(id)}>
              {t("upload.retry")}
            </Button>
          )}
          {state === "done" && transfer.fileId && transfer.purpose === "fine-tune" && (
            <Link to={`/data/new?file=${encodeURIComponent(transfer.fileId)}`}>{t("datasets.createFrom")}</Link>
          )}
          <Button size="small" onClick={remove}>
            {state === "done" ? t("upload.dismiss") : t("upload.discard")}
          </Button>
        </Flex>
      )}
    </>
  );
}

function ChooseAgain({ transfer }: { transfer: Transfer }) {
  const { t } = useTranslation("data");
  return (
    <Upload
      showUploadList={false}
      beforeUpload={(file: File) => {
        transfers.resume(transfer.id, file);
        return Upload.LIST_IGNORE;
      }}
    >
      <Button size="small" type="primary">
        {t("upload.chooseAgain")}
      </Button>
    </Upload>
  );
}

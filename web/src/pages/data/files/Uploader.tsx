/** Where files are dropped or chosen, with what they are for. */
import { InboxOutlined } from "@ant-design/icons";
import { Flex, Form, Select, Upload } from "antd";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { useProject } from "../../../app";
import { PURPOSES, type Purpose } from "../types";
import { TransferList } from "./TransferList";
import { transfers } from "./transfers";

export function Uploader() {
  const { t } = useTranslation("data");
  const project = useProject();
  const [purpose, setPurpose] = useState<Purpose>("fine-tune");
  const id = useId();
  if (!project) return null;
  return (
    <Flex vertical gap={12}>
      <Form.Item label={t("purpose")} htmlFor={id} extra={t(`purposeHints.${purpose}`)} className="data-field">
        <Select
          id={id}
          value={purpose}
          onChange={setPurpose}
          className="filter"
          options={PURPOSES.map((value) => ({ value, label: t(`purposes.${value}`) }))}
        />
      </Form.Item>
      <Upload.Dragger
        multiple
        showUploadList={false}
        aria-label={t("upload.title")}
        beforeUpload={(file: File) => {
          transfers.add(file, purpose, project.id);
          return Upload.LIST_IGNORE;
        }}
      >
        <InboxOutlined className="data-drop-icon" aria-hidden="true" />
        <p>{t("upload.title")}</p>
        <p className="quiet">{t("upload.hint")}</p>
      </Upload.Dragger>
      <TransferList projectId={project.id} />
    </Flex>
  );
}

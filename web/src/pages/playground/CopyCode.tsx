/** The call that was made, as Python or curl, without any key. */
import { CodeOutlined } from "@ant-design/icons";
import { Button, Modal, Tabs } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { CopyButton } from "../../ui";
import { curlCode, pythonCode } from "./code";
import type { Request } from "./completion";

export function CopyCode({ request }: { request: Request }) {
  const { t } = useTranslation("playground");
  const [open, setOpen] = useState(false);
  const origin = window.location.origin;
  const texts = [
    { key: "python", label: "Python", text: pythonCode(request, origin) },
    { key: "curl", label: "curl", text: curlCode(request, origin) },
  ];
  return (
    <>
      <Button icon={<CodeOutlined />} aria-label={t("code.title")} title={t("code.title")} onClick={() => setOpen(true)} />
      <Modal open={open} title={t("code.title")} footer={null} width={720} onCancel={() => setOpen(false)} destroyOnHidden>
        <p className="quiet">{t("code.key")}</p>
        <Tabs
          items={texts.map(({ key, label, text }) => ({
            key,
            label,
            children: (
              <>
                <CopyButton text={text} label={t("code.copy", { language: label })} />
                <pre className="play-code-text" tabIndex={0}>
                  {text}
                </pre>
              </>
            ),
          }))}
        />
      </Modal>
    </>
  );
}

/** Saves a version in its own format or in another one that can express it. */
import { DownOutlined } from "@ant-design/icons";
import { Button, Dropdown } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { addressOf } from "../../../api";
import { useNotify } from "../../../ui";
import { download } from "../files/download";
import { FORMATS, type Version } from "../types";

export function Export({ version }: { version: Version }) {
  const { t } = useTranslation("data");
  const notify = useNotify();
  const [saving, setSaving] = useState(false);
  const save = async (format: string | null) => {
    setSaving(true);
    try {
      const path = { version_id: version.id };
      const url = addressOf("/api/dataset_versions/{version_id}/content", { path, query: { format } });
      await download(url, `${version.dataset}-v${version.version}`);
    } catch (error) {
      notify.failure(error);
    } finally {
      setSaving(false);
    }
  };
  const own = { key: "own", label: t("export.own") };
  const others = FORMATS.filter((format) => format !== version.format);
  const items = [own, ...others.map((key) => ({ key, label: t("export.as", { format: t(`formats.${key}`) }) }))];
  return (
    <Dropdown menu={{ items, onClick: ({ key }) => void save(key === "own" ? null : key) }} trigger={["click"]}>
      <Button loading={saving} icon={<DownOutlined />} iconPlacement="end">
        {t("export.action")}
      </Button>
    </Dropdown>
  );
}

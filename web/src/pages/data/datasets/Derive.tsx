/** A new version with the same rows and other splits. */
import { useQueryClient } from "@tanstack/react-query";
import { Button, Modal } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { api } from "../../../api";
import { ApiForm, useNotify } from "../../../ui";
import { DATASETS, type Version } from "../types";
import { SplitItems } from "./RequestFields";
import { fromVersion, toRequest, type SplitShare } from "./shares";

interface Values {
  splits: SplitShare[];
  split_seed: number | null;
}

export function Derive({ version }: { version: Version }) {
  const { t } = useTranslation("data");
  const [open, setOpen] = useState(false);
  const client = useQueryClient();
  const navigate = useNavigate();
  const notify = useNotify();
  const derive = async ({ splits, split_seed }: Values) => {
    const body = { from_version_id: version.id, splits: toRequest(splits), split_seed: split_seed ?? 0 };
    const made = await api.post("/api/datasets/{name}/versions", { path: { name: version.dataset }, body });
    await client.invalidateQueries({ queryKey: DATASETS });
    setOpen(false);
    notify.success(t("new.created", { name: made.dataset, number: made.version }));
    void navigate(`/data/versions/${encodeURIComponent(made.id)}`);
  };
  return (
    <>
      <Button onClick={() => setOpen(true)}>{t("derive.action")}</Button>
      <Modal open={open} title={t("derive.title")} footer={null} onCancel={() => setOpen(false)} destroyOnHidden>
        <p>{t("derive.intro")}</p>
        <ApiForm<Values>
          initial={{ splits: fromVersion(version.splits), split_seed: version.split_seed }}
          submit={t("derive.submit")}
          onSubmit={derive}
          onCancel={() => setOpen(false)}
        >
          <SplitItems />
        </ApiForm>
      </Modal>
    </>
  );
}

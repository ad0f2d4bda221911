/** What can be changed of an entry: its names, its last day, and of a remote one its key and whether data may go there. */
import { useQueryClient } from "@tanstack/react-query";
import { Button, Form, Input, Modal, Switch } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, type Wire } from "../../api";
import { ApiForm, useNotify } from "../../ui";
import { BASES, scopeOf, sourceOf, type BaseModel } from "./model";

interface Values {
  display_name: { en: string; zh: string };
  shutdown_date: string;
  egress_allowed?: boolean;
  api_key?: string;
}

export function Edit({ base }: { base: BaseModel }) {
  const { t } = useTranslation("models");
  const [open, setOpen] = useState(false);
  const client = useQueryClient();
  const notify = useNotify();
  const source = sourceOf(base);
  const isRemote = source.kind === "remote";
  const save = async (values: Values) => {
    const body: Wire<"BaseModelUpdate"> = { display_name: values.display_name, shutdown_date: values.shutdown_date };
    if (values.egress_allowed !== undefined) body.egress_allowed = values.egress_allowed;
    if (values.api_key) body.api_key = values.api_key;
    await api.post("/api/base_models/{base_id}", { path: { base_id: base.id }, body, scope: scopeOf(base) });
    await client.invalidateQueries({ queryKey: BASES });
    setOpen(false);
    notify.success(t("edit.saved"));
  };
  const initial: Values = {
    display_name: { en: base.display_name.en ?? base.id, zh: base.display_name.zh ?? base.id },
    shutdown_date: base.shutdown_date ?? "",
    ...(source.kind === "remote" && { egress_allowed: source.egress_allowed }),
  };
  return (
    <>
      <Button onClick={() => setOpen(true)}>{t("edit.action")}</Button>
      <Modal open={open} title={t("edit.title")} footer={null} onCancel={() => setOpen(false)} destroyOnHidden>
        <ApiForm<Values> initial={initial} submit={t("edit.submit")} onSubmit={save} onCancel={() => setOpen(false)}>
          <DisplayNames />
          <ShutdownDate />
          {isRemote && (
            <>
              <EgressSwitch name="egress_allowed" />
              <Form.Item name="api_key" label={t("edit.key")} extra={t("edit.keyHint")}>
                <Input.Password autoComplete="off" maxLength={1000} />
              </Form.Item>
            </>
          )}
        </ApiForm>
      </Modal>
    </>
  );
}

export function DisplayNames() {
  const { t } = useTranslation("models");
  return (
    <>
      <Form.Item name={["display_name", "zh"]} label={t("fields.nameZh")}>
        <Input maxLength={200} autoComplete="off" />
      </Form.Item>
      <Form.Item name={["display_name", "en"]} label={t("fields.nameEn")}>
        <Input maxLength={200} autoComplete="off" />
      </Form.Item>
    </>
  );
}

export function ShutdownDate() {
  const { t } = useTranslation("models");
  return (
    <Form.Item name="shutdown_date" label={t("facts.shutdown")} extra={t("fields.shutdownHint")}>
      <Input type="date" className="models-date" />
    </Form.Item>
  );
}

export function EgressSwitch({ name }: { name: string | string[] }) {
  const { t } = useTranslation("models");
  return (
    <Form.Item name={name} label={t("fields.egress")} extra={t("fields.egressHint")} valuePropName="checked">
      <Switch />
    </Form.Item>
  );
}

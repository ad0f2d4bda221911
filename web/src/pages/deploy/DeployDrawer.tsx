/** Serve a model. The platform answers at once and starts the engine; the table shows how far it is. */
import { Drawer, Form, Input, InputNumber } from "antd";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { api } from "../../api";
import { ApiForm, useNotify } from "../../ui";
import { ModelSelect, readDraft, useOwner, writeDraft } from "../run";

interface Values {
  model: string;
  name?: string;
  context_tokens?: number | null;
  slots?: number | null;
}

interface DeployDrawerProps {
  open: boolean;
  onClose: () => void;
  onDeployed: () => void;
}

export function DeployDrawer({ open, onClose, onDeployed }: DeployDrawerProps) {
  const { t } = useTranslation("deploy");
  return (
    <Drawer open={open} onClose={onClose} title={t("deployModel")} size={480} destroyOnHidden>
      <DeployForm
        onDone={() => {
          onClose();
          onDeployed();
        }}
      />
    </Drawer>
  );
}

function DeployForm({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation("deploy");
  const notify = useNotify();
  const key = `${useOwner()}.deploy`;
  const [form] = Form.useForm<Values>();
  const typed = Form.useWatch<Values | undefined>([], form);
  useEffect(() => {
    if (typed) writeDraft(key, typed);
  }, [typed, key]);
  const submit = async ({ model, name, context_tokens, slots }: Values) => {
    const body = { model, name: name?.trim() ? name.trim() : null, context_tokens: context_tokens ?? null, slots: slots ?? null };
    const deployment = await api.post("/api/deployments", { body });
    form.resetFields();
    writeDraft(key, null);
    notify.success(t("deploying", { model: deployment.model }), t("deployingNext"));
    onDone();
  };
  return (
    <ApiForm<Values> form={form} initial={(readDraft(key) ?? {})} submit={t("deploy")} onSubmit={submit}>
      <Form.Item name="model" label={t("form.model")} rules={[{ required: true, message: t("form.modelMissing") }]}>
        <ModelSelect />
      </Form.Item>
      <Form.Item name="name" label={t("form.name")} extra={t("form.nameHint")}>
        <Input maxLength={64} autoComplete="off" />
      </Form.Item>
      <Form.Item name="context_tokens" label={t("form.context")} extra={t("form.contextHint")}>
        <InputNumber<number> min={128} max={1_000_000} step={256} className="deploy-number-field" />
      </Form.Item>
      <Form.Item name="slots" label={t("form.slots")} extra={t("form.slotsHint")}>
        <InputNumber<number> min={1} max={256} className="deploy-number-field" />
      </Form.Item>
    </ApiForm>
  );
}

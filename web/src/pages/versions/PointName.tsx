/** Makes a name mean a model: from the version's side (which name?) or from the name's side (which model?). */
import { AutoComplete, Alert, Button, Form, Input, Modal } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api } from "../../api";
import { ApiForm, useNotify } from "../../ui";
import { ModelSelect } from "../run";
import { useAliases, useRefresh } from "./queries";

interface Values {
  name: string;
  target: string;
}

interface PointNameProps {
  button: string;
  size?: "small" | "middle";
  primary?: boolean;
  name?: string;
  target?: string;
}

export function PointName({ button, size = "middle", primary = false, name, target }: PointNameProps) {
  const { t } = useTranslation("versions");
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button size={size} type={primary ? "primary" : "default"} onClick={() => setOpen(true)}>
        {button}
      </Button>
      <Modal open={open} title={t("point.title")} footer={null} onCancel={() => setOpen(false)} destroyOnHidden>
        <PointForm {...(name !== undefined && { name })} {...(target !== undefined && { target })} onDone={() => setOpen(false)} />
      </Modal>
    </>
  );
}

function PointForm({ name, target, onDone }: { name?: string; target?: string; onDone: () => void }) {
  const { t } = useTranslation("versions");
  const [form] = Form.useForm<Values>();
  const aliases = useAliases().data ?? [];
  const notify = useNotify();
  const refresh = useRefresh();
  const chosenName = (Form.useWatch("name", form) as string | undefined) ?? name;
  const chosenTarget = (Form.useWatch("target", form) as string | undefined) ?? target;
  const known = aliases.find((alias) => alias.name === chosenName);
  const submit = async (values: Values) => {
    const alias = await api.put("/api/aliases/{name}", { path: { name: values.name }, body: { target: values.target } });
    onDone();
    notify.success(t("point.done", { name: alias.name }), t("point.doneNext", { target: alias.target }));
    await refresh();
  };
  return (
    <ApiForm<Values>
      form={form}
      initial={{ ...(name !== undefined && { name }), ...(target !== undefined && { target }) }}
      names={{ model: "target" }}
      submit={t("point.submit")}
      onSubmit={submit}
      onCancel={onDone}
    >
      <Form.Item name="name" label={t("point.name")} extra={t("point.nameHelp")} rules={[{ required: true, message: t("point.nameMissing") }]}>
        {name === undefined ? (
          <AutoComplete
            options={aliases.map((alias) => ({ value: alias.name }))}
            showSearch={{ filterOption: (typed, option) => option?.value.includes(typed) ?? false }}
            maxLength={64}
          />
        ) : (
          <Input readOnly />
        )}
      </Form.Item>
      <Form.Item name="target" label={t("point.target")} rules={[{ required: true, message: t("point.targetMissing") }]}>
        {target === undefined ? <ModelSelect label={t("point.target")} {...(name !== undefined && { exclude: [name] })} /> : <Input readOnly />}
      </Form.Item>
      {known && chosenTarget !== undefined && known.target !== chosenTarget && (
        <Alert
          type="warning"
          showIcon
          role="status"
          className="form-error"
          title={t("point.moves", { name: known.name })}
          description={t("point.movesFrom", { from: known.target, to: chosenTarget })}
        />
      )}
    </ApiForm>
  );
}

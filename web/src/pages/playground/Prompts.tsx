/** The system prompt: written here, saved with versions in this browser. */
import { SaveOutlined } from "@ant-design/icons";
import { Button, Flex, Form, Input, Modal, Select } from "antd";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { ConfirmDanger, dateTimeText, useNotify } from "../../ui";
import { load, saved, store, without, type Prompt } from "./prompts";

interface PromptsProps {
  owner: string;
  value: string;
  onChange: (system: string) => void;
}

export function Prompts({ owner, value, onChange }: PromptsProps) {
  const { t } = useTranslation("playground");
  const notify = useNotify();
  const id = useId();
  const [prompts, setPrompts] = useState(() => load(owner));
  const [name, setName] = useState<string | null>(null);
  const [asking, setAsking] = useState(false);
  const chosen = prompts.find((prompt) => prompt.name === name);

  const keep = (next: Prompt[]) => {
    try {
      store(owner, next);
      setPrompts(next);
      return true;
    } catch {
      notify.info(t("prompts.full"), t("prompts.fullNext"));
      return false;
    }
  };
  const save = (under: string) => {
    if (!keep(saved(prompts, under, value, Date.now() / 1000))) return;
    setName(under);
    setAsking(false);
    notify.success(t("prompts.saved", { name: under }));
  };
  return (
    <>
      <Flex gap={8} wrap align="center" className="play-prompt-bar">
        <PromptChoice prompts={prompts} chosen={chosen} value={value} onName={setName} onText={onChange} />
        <Button icon={<SaveOutlined />} disabled={!value.trim()} onClick={() => (chosen ? save(chosen.name) : setAsking(true))}>
          {chosen ? t("prompts.saveVersion", { name: chosen.name }) : t("prompts.save")}
        </Button>
        {chosen && (
          <>
            <Button disabled={!value.trim()} onClick={() => setAsking(true)}>
              {t("prompts.saveAs")}
            </Button>
            <ConfirmDanger
              action={t("prompts.delete")}
              title={t("prompts.deleteTitle", { name: chosen.name })}
              touches={[t("prompts.touches", { count: chosen.versions.length })]}
              onConfirm={() => {
                keep(without(prompts, chosen.name));
                setName(null);
                return Promise.resolve();
              }}
            />
          </>
        )}
      </Flex>
      <label htmlFor={id}>{t("system")}</label>
      <Input.TextArea
        id={id}
        value={value}
        rows={4}
        placeholder={t("systemHint")}
        onChange={(event) => onChange(event.target.value)}
      />
      <p className="quiet">{t("prompts.where")}</p>
      <NameDialog open={asking} taken={prompts.map((prompt) => prompt.name)} onClose={() => setAsking(false)} onName={save} />
    </>
  );
}

interface PromptChoiceProps {
  prompts: Prompt[];
  chosen: Prompt | undefined;
  value: string;
  onName: (name: string | null) => void;
  onText: (text: string) => void;
}

function PromptChoice({ prompts, chosen, value, onName, onText }: PromptChoiceProps) {
  const { t, i18n } = useTranslation("playground");
  const open = (name: string | undefined) => {
    onName(name ?? null);
    const newest = prompts.find((prompt) => prompt.name === name)?.versions[0];
    if (newest) onText(newest.text);
  };
  return (
    <>
      <Select<string>
        aria-label={t("prompts.choose")}
        placeholder={prompts.length > 0 ? t("prompts.choose") : t("prompts.none")}
        allowClear
        disabled={prompts.length === 0}
        {...(chosen ? { value: chosen.name } : { value: null })}
        options={prompts.map((prompt) => ({ value: prompt.name, label: prompt.name }))}
        onChange={(next: string | undefined) => open(next)}
        className="play-prompt-name"
      />
      {chosen && (
        <Select<number>
          aria-label={t("prompts.version")}
          placeholder={t("prompts.edited")}
          value={(chosen.versions.find((version) => version.text === value)?.number ?? null)}
          options={chosen.versions.map((version) => ({
            value: version.number,
            label: t("prompts.versionOf", { number: version.number, time: dateTimeText(version.savedAt, i18n.language) }),
          }))}
          onChange={(number) => {
            const version = chosen.versions.find((known) => known.number === number);
            if (version) onText(version.text);
          }}
          className="play-prompt-version"
        />
      )}
    </>
  );
}

interface NameDialogProps {
  open: boolean;
  taken: string[];
  onClose: () => void;
  onName: (name: string) => void;
}

function NameDialog({ open, taken, onClose, onName }: NameDialogProps) {
  const { t } = useTranslation("playground");
  const [form] = Form.useForm<{ name: string }>();
  return (
    <Modal
      open={open}
      title={t("prompts.save")}
      okText={t("prompts.saveShort")}
      cancelText={t("cancel")}
      onCancel={onClose}
      onOk={() => form.submit()}
      destroyOnHidden
    >
      <Form form={form} layout="vertical" preserve={false} onFinish={({ name }) => onName(name.trim())}>
        <Form.Item
          name="name"
          label={t("prompts.name")}
          rules={[
            { required: true, whitespace: true, message: t("prompts.nameMissing") },
            {
              validator: (_, name: string | undefined) =>
                taken.includes(name?.trim() ?? "") ? Promise.reject(new Error(t("prompts.nameTaken"))) : Promise.resolve(),
            },
          ]}
        >
          <Input maxLength={80} autoComplete="off" />
        </Form.Item>
      </Form>
    </Modal>
  );
}

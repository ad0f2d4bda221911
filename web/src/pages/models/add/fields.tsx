/** The fields of a new base model: where it comes from, and what is to be known about it. */
import { AutoComplete, Form, Input, InputNumber, Radio, Select, Switch } from "antd";
import { useTranslation } from "react-i18next";
import { useSignedIn } from "../../../app";
import { DisplayNames, EgressSwitch, ShutdownDate } from "../Edit";
import { CAPABILITIES } from "../model";
import type { Kind } from "./request";

const KINDS: readonly Kind[] = ["hub", "local", "remote"];
const HUBS = ["huggingface", "modelscope"] as const;

interface SourceProps {
  kind: Kind;
  /** What the provider said it has. */
  models: string[];
  onLeave: () => void;
}

export function SourceFields({ kind, models, onLeave }: SourceProps) {
  const { t } = useTranslation("models");
  return (
    <>
      <Form.Item required name={["source", "kind"]} label={t("add.kind")} extra={t(`add.kindHints.${kind}`)}>
        <Radio.Group optionType="button" options={KINDS.map((value) => ({ value, label: t(`sources.${value}`) }))} />
      </Form.Item>
      <div className="models-form">
        {kind === "local" && <LocalFields onLeave={onLeave} />}
        {kind === "hub" && <HubFields onLeave={onLeave} />}
        {kind === "remote" && <RemoteFields models={models} onLeave={onLeave} />}
      </div>
    </>
  );
}

function LocalFields({ onLeave }: { onLeave: () => void }) {
  const { t } = useTranslation("models");
  return (
    <Form.Item name={["source", "path"]} label={t("fields.path")} extra={t("fields.pathHint")} rules={[{ required: true, message: t("missing.path") }]}>
      <Input maxLength={1000} autoComplete="off" placeholder="/srv/models/my-model" onBlur={onLeave} />
    </Form.Item>
  );
}

function HubFields({ onLeave }: { onLeave: () => void }) {
  const { t } = useTranslation("models");
  return (
    <>
      <Form.Item required name={["source", "hub"]} label={t("fields.hub")}>
        <Select options={HUBS.map((value) => ({ value, label: t(`hubs.${value}`) }))} />
      </Form.Item>
      <Form.Item name={["source", "repository"]} label={t("fields.repository")} extra={t("fields.repositoryHint")} rules={[{ required: true, message: t("missing.repository") }]}>
        <Input maxLength={200} autoComplete="off" placeholder="organization/model" onBlur={onLeave} />
      </Form.Item>
      <Form.Item name={["source", "revision"]} label={t("fields.revision")} extra={t("fields.revisionHint")}>
        <Input maxLength={100} autoComplete="off" />
      </Form.Item>
      <Form.Item name={["source", "file"]} label={t("fields.file")} extra={t("fields.fileHint")}>
        <Input maxLength={200} autoComplete="off" placeholder="model-q4_k_m.gguf" />
      </Form.Item>
    </>
  );
}

function RemoteFields({ models, onLeave }: { models: string[]; onLeave: () => void }) {
  const { t } = useTranslation("models");
  return (
    <>
      <Form.Item name={["source", "base_url"]} label={t("fields.baseUrl")} extra={t("fields.baseUrlHint")} rules={[{ required: true, message: t("missing.baseUrl") }]}>
        <Input maxLength={500} autoComplete="off" placeholder="https://api.example.com/v1" />
      </Form.Item>
      <Form.Item
        name={["source", "model"]}
        label={t("fields.model")}
        extra={t(models.length > 0 ? "fields.modelOffered" : "fields.modelHint", { count: models.length })}
        rules={[{ required: true, message: t("missing.model") }]}
      >
        <AutoComplete options={models.map((value) => ({ value }))} showSearch={{ filterOption: true }} onBlur={onLeave} />
      </Form.Item>
      <Form.Item name={["source", "api_key"]} label={t("fields.key")} extra={t("fields.keyHint")}>
        <Input.Password maxLength={1000} autoComplete="off" />
      </Form.Item>
      <EgressSwitch name={["source", "egress_allowed"]} />
      <Form.Item name="verify" label={t("fields.verify")} extra={t("fields.verifyHint")} valuePropName="checked">
        <Switch />
      </Form.Item>
    </>
  );
}

export function EntryFields() {
  const { t } = useTranslation("models");
  const { organization_permissions: held } = useSignedIn();
  const forAll = held.includes("catalog:write");
  return (
    <div className="models-form">
      <Form.Item name="name" label={t("fields.name")} extra={t("fields.nameHint")} rules={[{ required: true, whitespace: true, message: t("missing.name") }]}>
        <Input maxLength={48} autoComplete="off" />
      </Form.Item>
      {forAll && (
        <Form.Item required name="scope" label={t("fields.scope")}>
          <Radio.Group options={(["project", "organization"] as const).map((value) => ({ value, label: t(`fields.scopes.${value}`) }))} />
        </Form.Item>
      )}
      <DisplayNames />
      <Form.Item name="licence" label={t("facts.licence")} extra={t("fields.licenceHint")}>
        <AutoComplete options={LICENCES.map((value) => ({ value }))} showSearch={{ filterOption: true }} />
      </Form.Item>
      <Form.Item name="capabilities" label={t("facts.capabilities")} extra={t("fields.capabilitiesHint")}>
        <Select mode="multiple" allowClear options={CAPABILITIES.map((value) => ({ value, label: t(`capabilities.${value}`) }))} />
      </Form.Item>
      <Form.Item name="context_tokens" label={t("facts.context")} extra={t("fields.contextHint")}>
        <InputNumber min={1} max={100_000_000} precision={0} className="models-number" />
      </Form.Item>
      <ShutdownDate />
    </div>
  );
}

// offered, not enforced: any SPDX identifier can be typed
const LICENCES = ["Apache-2.0", "MIT", "BSD-3-Clause", "CC-BY-4.0", "CC-BY-NC-4.0", "OpenRAIL", "LicenseRef-proprietary"];

/** A new evaluation: which examples, and when an answer counts as right. */
import { useQueryClient } from "@tanstack/react-query";
import { Form, Input, Progress, Radio, Select } from "antd";
import { useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { ApiForm, PageHeader, Section } from "../../ui";
import { useFormDraft } from "../lab";
import { createEval, type Draft, type Uploaded } from "./create";
import { DataFields, useLabels } from "./DataFields";
import { EVALS_KEY } from "./types";

const OPERATIONS = ["eq", "ilike", "like", "ne"] as const;

export function NewEval() {
  const { t } = useTranslation("evaluate");
  const [form] = Form.useForm<Draft>();
  const { stored, values, forget } = useFormDraft(form, "evaluate.new");
  const navigate = useNavigate();
  const client = useQueryClient();
  const [progress, setProgress] = useState<number | null>(null);
  // the items of a dataset are stored once, also when the rest has to be corrected and sent again
  const uploaded = useRef<Uploaded | null>(null);
  const submit = async (draft: Draft) => {
    try {
      const created = await createEval(draft, uploaded, setProgress);
      forget();
      void client.invalidateQueries({ queryKey: EVALS_KEY });
      void navigate(`/evaluate/${created.id}`);
    } finally {
      setProgress(null);
    }
  };
  const names = { "data_source_config.item_schema": "reference", file: "file", testing_criteria: "labels", "testing_criteria.0": "labels" };
  return (
    <>
      <PageHeader title={t("new.title")} intro={t("new.intro")} help="docs/evaluation" />
      <div className="lab-form">
        <ApiForm<Draft>
          form={form}
          initial={{ from: "dataset", check: "string_check", operation: "eq", ...stored }}
          names={names}
          submit={t("create")}
          onSubmit={submit}
          onCancel={() => void navigate("/evaluate")}
        >
          <Section title={t("new.steps.data")}>
            <DataFields values={values ?? {}} />
          </Section>
          <Section title={t("new.steps.check")}>
            <CheckFields values={values ?? {}} />
          </Section>
          <Section title={t("new.steps.name")}>
            <Form.Item name="name" label={t("name")} rules={[{ required: true, whitespace: true, message: t("new.nameMissing") }]}>
              <Input maxLength={256} autoComplete="off" />
            </Form.Item>
            {progress !== null && <Progress percent={Math.round(progress * 100)} aria-label={t("new.uploading")} />}
          </Section>
        </ApiForm>
      </div>
    </>
  );
}

function CheckFields({ values }: { values: Partial<Draft> }) {
  const { t } = useTranslation("evaluate");
  const labels = useLabels(values);
  return (
    <>
      <Form.Item name="check" label={t("new.check")}>
        <Radio.Group>
          {(["label_match", "string_check"] as const).map((type) => (
            <Radio key={type} value={type} className="choice">
              {t(`types.${type}`)} <span className="quiet">{t(`typeHelp.${type}`)}</span>
            </Radio>
          ))}
        </Radio.Group>
      </Form.Item>
      {values.check === "label_match" ? (
        <Form.Item
          name="labels"
          label={t("new.labels")}
          extra={labels.length ? t("new.labelsKnown", { count: labels.length }) : t("new.labelsHelp")}
          rules={[{ required: labels.length < 2, type: "array", min: 2, message: t("new.labelsMissing") }]}
        >
          <Select mode="tags" maxTagCount={20} tokenSeparators={[",", "，", "\n"]} open={false} placeholder={labels.slice(0, 5).join(", ")} />
        </Form.Item>
      ) : (
        <Form.Item name="operation" label={t("new.operation")}>
          <Select options={OPERATIONS.map((value) => ({ value, label: t(`operations.${value}`) }))} />
        </Form.Item>
      )}
    </>
  );
}

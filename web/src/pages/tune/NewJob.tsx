/** A new tuning job in four steps on one page, so that an error is never on a step that is not shown. */
import { useQueryClient } from "@tanstack/react-query";
import { Alert, Form, Input, InputNumber, Radio } from "antd";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { api } from "../../api";
import { ApiForm, PageHeader, Section, useNotify } from "../../ui";
import { FileSelect, useFormDraft } from "../lab";
import { BaseField } from "./BaseField";
import { Beforehand } from "./Beforehand";
import { FileCheck } from "./FileCheck";
import { orderOf, RECIPES, type Draft } from "./order";
import { JOBS_KEY } from "./types";

// the API's names where a sentence about the whole body names a nested field
const NAMES = {
  "hyperparameters.n_epochs": "n_epochs",
  "hyperparameters.batch_size": "batch_size",
  "hyperparameters.learning_rate_multiplier": "learning_rate_multiplier",
  hyperparameters: "learning_rate_multiplier",
};

export function NewJob() {
  const { t } = useTranslation("tune");
  const [form] = Form.useForm<Draft>();
  const { stored, values, forget } = useFormDraft(form, "tune.new");
  const navigate = useNavigate();
  const client = useQueryClient();
  const notify = useNotify();
  const submit = async (draft: Draft) => {
    const job = await api.post("/v1/fine_tuning/jobs", { body: orderOf(draft) });
    forget();
    void client.invalidateQueries({ queryKey: JOBS_KEY });
    notify.success(t("new.started"), t("new.startedNext"));
    void navigate(`/tune/${job.id}`);
  };
  return (
    <>
      <PageHeader title={t("new.title")} intro={t("new.intro")} help="docs/tuning" />
      <div className="lab-form">
        <ApiForm<Draft>
          form={form}
          initial={{ recipe: "good", ...stored }}
          names={NAMES}
          submit={t("new.submit")}
          onSubmit={submit}
          onCancel={() => void navigate("/tune")}
        >
          <Files values={values} />
          <Section title={t("new.steps.base")}>
            <BaseField />
          </Section>
          <Settings />
          <Section title={t("new.steps.start")}>
            <Form.Item name="suffix" label={t("new.suffix")} extra={t("new.suffixHelp")}>
              <Input maxLength={64} autoComplete="off" />
            </Form.Item>
            <Beforehand draft={values ?? {}} />
          </Section>
        </ApiForm>
      </div>
    </>
  );
}

function Files({ values }: { values: Partial<Draft> | undefined }) {
  const { t } = useTranslation("tune");
  const twice = values?.training_file !== undefined && values.training_file === values.validation_file;
  return (
    <Section title={t("new.steps.data")}>
      <Form.Item
        name="training_file"
        label={t("new.training")}
        extra={t("new.trainingHelp")}
        rules={[{ required: true, message: t("new.trainingMissing") }]}
      >
        <FileSelect purpose="fine-tune" label={t("new.training")} />
      </Form.Item>
      <FileCheck fileId={values?.training_file} label={t("new.training")} />
      <Form.Item name="validation_file" label={t("new.validation")} extra={t("new.validationHelp")}>
        <FileSelect purpose="fine-tune" label={t("new.validation")} optional />
      </Form.Item>
      {twice ? (
        <Alert type="warning" showIcon title={t("new.sameFile")} />
      ) : (
        <FileCheck fileId={values?.validation_file ?? undefined} label={t("new.validation")} />
      )}
    </Section>
  );
}

function Settings() {
  const { t } = useTranslation("tune");
  return (
    <Section title={t("new.steps.settings")}>
      <Form.Item name="recipe" label={t("recipe")} extra={t("new.recipeHelp")}>
        <Radio.Group>
          {RECIPES.map((recipe) => (
            <Radio key={recipe} value={recipe} className="choice">
              {t(`recipes.${recipe}.name`)} <span className="quiet">{t(`recipes.${recipe}.about`)}</span>
            </Radio>
          ))}
        </Radio.Group>
      </Form.Item>
      <details open={false}>
        <summary>{t("new.more")}</summary>
        <Form.Item name="n_epochs" label={t("new.epochs")} extra={t("new.epochsHelp")}>
          <InputNumber min={1} max={50} precision={0} placeholder={t("new.auto")} />
        </Form.Item>
        <Form.Item name="batch_size" label={t("new.batch")} extra={t("new.batchHelp")}>
          <InputNumber min={1} max={256} precision={0} placeholder={t("new.auto")} />
        </Form.Item>
        <Form.Item name="learning_rate_multiplier" label={t("new.rate")} extra={t("new.rateHelp")}>
          <InputNumber min={0.001} max={100} step={0.1} placeholder={t("new.auto")} />
        </Form.Item>
        <Form.Item name="seed" label={t("new.seed")} extra={t("new.seedHelp")}>
          <InputNumber min={-(2 ** 31)} max={2 ** 31 - 1} precision={0} placeholder={t("new.auto")} />
        </Form.Item>
      </details>
    </Section>
  );
}

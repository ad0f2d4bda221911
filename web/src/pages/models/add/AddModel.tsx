/** Adds a base model. A remote one is added only when its provider answers, unless that is switched off. */
import { useQueryClient } from "@tanstack/react-query";
import { Form } from "antd";
import { useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";
import { api, ApiError } from "../../../api";
import { ApiForm, PageHeader, Section, useNotify } from "../../../ui";
import { readDraft, writeDraft } from "../../run/draft";
import { useCheckText } from "../LiveCheck";
import { BASES, scopeOf, type BaseModel, type Check } from "../model";
import { EntryFields, SourceFields } from "./fields";
import { bodyOf, EMPTY, fieldOf, fromDraft, NAMES, suggestedName, toDraft, withField, type Values } from "./request";

const DRAFT = "models.add";

export function AddModel() {
  const { t } = useTranslation("models");
  const [form] = Form.useForm<Values>();
  const initial = useMemo(() => fromDraft(readDraft(DRAFT)) ?? EMPTY, []);
  const { add, models } = useAdd();
  const values = Form.useWatch([], form) as Values | undefined;
  useEffect(() => {
    if (values?.source) writeDraft(DRAFT, toDraft(values));
  }, [values]);
  const suggest = () => {
    const typed = form.getFieldsValue(true) as Values;
    if (!typed.name) form.setFieldValue("name", suggestedName(typed.source));
  };
  return (
    <>
      <PageHeader title={t("add.title")} intro={t("add.intro")} />
      <p>
        <Link to="/models">{t("back")}</Link>
      </p>
      <ApiForm<Values> form={form} initial={initial} names={NAMES} submit={t("add.submit")} onSubmit={add}>
        <Section title={t("add.source")}>
          <SourceFields kind={values?.source.kind ?? initial.source.kind} models={models} onLeave={suggest} />
        </Section>
        <Section title={t("add.entry")}>
          <EntryFields />
        </Section>
      </ApiForm>
    </>
  );
}

/** Adds what was typed; `models` is what the provider said it has when the last attempt failed for that. */
function useAdd(): { add: (values: Values) => Promise<void>; models: string[] } {
  const { t } = useTranslation("models");
  const navigate = useNavigate();
  const client = useQueryClient();
  const notify = useNotify();
  const textOf = useCheckText();
  const [models, setModels] = useState<string[]>([]);

  const add = async (values: Values) => {
    const { kind } = values.source;
    let base: BaseModel;
    try {
      base = await api.post("/api/base_models", { body: bodyOf(values), scope: values.scope ?? "project" });
    } catch (error) {
      throw withField(error, kind);
    }
    if (kind === "remote" && values.verify && values.source.egress_allowed) await verify(base);
    writeDraft(DRAFT, null);
    await client.invalidateQueries({ queryKey: BASES });
    notify.success(t("add.done", { id: base.id }));
    void navigate(`/models/${encodeURIComponent(base.id)}`);
  };

  const verify = async (base: BaseModel) => {
    const call = { path: { base_id: base.id }, scope: scopeOf(base) };
    let check: Check;
    try {
      check = await api.post("/api/base_models/{base_id}/check", call);
    } catch (error) {
      // nobody knows; the entry is there and its page offers the check again
      notify.failure(error);
      return;
    }
    if (check.ok) return;
    await api.delete("/api/base_models/{base_id}", call);
    setModels(check.models);
    throw new ApiError(textOf(check), 422, check.code ?? "check_failed", fieldOf(check.code, "remote"), null, null);
  };
  return { add, models };
}

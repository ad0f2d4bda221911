/** Set or take away the rates of the organization or of a project. */
import { useQueryClient } from "@tanstack/react-query";
import { Button, Form, InputNumber, Modal } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, type Wire } from "../../api";
import { useMay } from "../../app";
import { ApiForm, ConfirmDanger, useNotify } from "../../ui";

interface Values {
  requests_per_minute: number | null;
  tokens_per_minute: number | null;
  concurrent_requests: number | null;
}

interface LimitButtonProps {
  scope: "organization" | "project";
  id: string;
  known: Wire<"LimitObject">[];
}

const RATES = ["requests_per_minute", "tokens_per_minute", "concurrent_requests"] as const;
const LABELS = { requests_per_minute: "requests", tokens_per_minute: "tokens", concurrent_requests: "concurrent" } as const;

export function LimitButton({ scope, id, known }: LimitButtonProps) {
  const { t } = useTranslation("usage");
  const client = useQueryClient();
  const notify = useNotify();
  const [open, setOpen] = useState(false);
  const all = known.find((limit) => limit.model === "");
  const path = { scope, subject_id: id };
  if (!useMay()("organization:write")) return null;
  const done = async () => {
    await client.invalidateQueries({ queryKey: ["limits"] });
    setOpen(false);
  };
  const submit = async (values: Values) => {
    await api.put("/api/limits/{scope}/{subject_id}", { path, body: { model: "", ...values }, scope: "organization" });
    notify.success(t("limits.saved"));
    await done();
  };
  const remove = async () => {
    await api.delete("/api/limits/{scope}/{subject_id}", { path, query: { model: "" }, scope: "organization" });
    await done();
  };
  const initial: Values = {
    requests_per_minute: all?.requests_per_minute ?? null,
    tokens_per_minute: all?.tokens_per_minute ?? null,
    concurrent_requests: all?.concurrent_requests ?? null,
  };
  return (
    <>
      <Button size="small" onClick={() => setOpen(true)}>
        {t("limits.set")}
      </Button>
      <Modal open={open} title={t("limits.set")} footer={null} onCancel={() => setOpen(false)} destroyOnHidden>
        <p className="quiet">{t("limits.setHint")}</p>
        <ApiForm<Values>
          initial={initial}
          submit={t("budgets.save")}
          onSubmit={submit}
          extra={
            all && (
              <ConfirmDanger
                action={t("limits.remove")}
                title={t("limits.removeTitle")}
                touches={[t("limits.touches")]}
                onConfirm={remove}
              />
            )
          }
        >
          {RATES.map((name) => (
            <Form.Item key={name} name={name} label={t(`limits.${LABELS[name]}`)}>
              <InputNumber<number> min={0} precision={0} placeholder={t("limits.none")} className="usage-rate" />
            </Form.Item>
          ))}
        </ApiForm>
      </Modal>
    </>
  );
}

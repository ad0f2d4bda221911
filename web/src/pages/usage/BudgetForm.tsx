/** Set or take away a budget of the organization or of a project. */
import { useQueryClient } from "@tanstack/react-query";
import { Button, Checkbox, Form, Input, Modal, Segmented, Select } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, type Wire } from "../../api";
import { useMay } from "../../app";
import { ApiForm, ConfirmDanger, useNotify } from "../../ui";

interface Values {
  period: "day" | "month";
  /** As text: no digit is lost. */
  amount: string;
  currency: string;
  hard: boolean;
  alert_percent: number[];
}

interface BudgetButtonProps {
  scope: "organization" | "project";
  id: string;
  known: Wire<"BudgetObject">[];
}

export function BudgetButton({ scope, id, known }: BudgetButtonProps) {
  const { t } = useTranslation("usage");
  const [open, setOpen] = useState(false);
  if (!useMay()("organization:write")) return null;
  return (
    <>
      <Button size="small" onClick={() => setOpen(true)}>
        {t("budgets.set")}
      </Button>
      <Modal open={open} title={t("budgets.set")} footer={null} onCancel={() => setOpen(false)} destroyOnHidden>
        <BudgetForm scope={scope} id={id} known={known} onDone={() => setOpen(false)} />
      </Modal>
    </>
  );
}

function BudgetForm({ scope, id, known, onDone }: BudgetButtonProps & { onDone: () => void }) {
  const { t } = useTranslation("usage");
  const client = useQueryClient();
  const notify = useNotify();
  const [form] = Form.useForm<Values>();
  const period = Form.useWatch("period", form) as Values["period"] | undefined;
  const current = known.find((budget) => budget.period === (period ?? "month"));
  const done = async () => {
    await client.invalidateQueries({ queryKey: ["limits"] });
    onDone();
  };
  const path = { scope, subject_id: id };
  const submit = async ({ period, amount, currency, hard, alert_percent }: Values) => {
    const body = { amount: amount.trim(), currency: currency.toUpperCase(), hard, alert_percent };
    await api.put("/api/limits/{scope}/{subject_id}/budgets/{period}", { path: { ...path, period }, body, scope: "organization" });
    notify.success(t("budgets.saved"));
    await done();
  };
  const remove = async (period: Values["period"]) => {
    await api.delete("/api/limits/{scope}/{subject_id}/budgets/{period}", { path: { ...path, period }, scope: "organization" });
    await done();
  };
  return (
    <ApiForm<Values>
      form={form}
      initial={initial(known.find((budget) => budget.period === "month"))}
      submit={t("budgets.save")}
      onSubmit={submit}
      extra={
        current && (
          <ConfirmDanger
            action={t("budgets.remove")}
            title={t("budgets.removeTitle")}
            touches={[t("budgets.touches")]}
            onConfirm={() => remove(current.period)}
          />
        )
      }
    >
      <Form.Item name="period" label={t("budgets.period")}>
        <Segmented
          onChange={(next) => form.setFieldsValue(initial(known.find((budget) => budget.period === next), next))}
          options={(["month", "day"] as const).map((value) => ({ value, label: t(`budgets.periods.${value}`) }))}
        />
      </Form.Item>
      <Form.Item name="amount" label={t("budgets.amount")} rules={[{ required: true, pattern: /^\s*\d+(\.\d{1,9})?\s*$/, message: t("budgets.amountMissing") }]}>
        <Input inputMode="decimal" autoComplete="off" />
      </Form.Item>
      <Form.Item name="currency" label={t("budgets.currency")} rules={[{ required: true, pattern: /^[A-Za-z]{3}$/, message: t("budgets.currencyMissing") }]}>
        <Input maxLength={3} className="usage-currency" autoComplete="off" />
      </Form.Item>
      <Form.Item name="hard" valuePropName="checked" extra={t("budgets.hardHint")}>
        <Checkbox>{t("budgets.hard")}</Checkbox>
      </Form.Item>
      <Form.Item name="alert_percent" label={t("budgets.alertAt")}>
        <Select<number[]> mode="multiple" options={[50, 75, 80, 90, 100].map((value) => ({ value, label: `${value} %` }))} />
      </Form.Item>
    </ApiForm>
  );
}

function initial(budget: Wire<"BudgetObject"> | undefined, period: Values["period"] = "month"): Values {
  return {
    period,
    amount: budget?.amount ?? "",
    currency: budget?.currency ?? "USD",
    hard: budget?.hard ?? true,
    alert_percent: budget?.alert_percent ?? [80, 100],
  };
}


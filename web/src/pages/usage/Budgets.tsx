/** Limits and budgets: what is allowed, what is used, what is left. */
import { useQuery } from "@tanstack/react-query";
import { Progress, Tag } from "antd";
import { useTranslation } from "react-i18next";
import { api, type Scope, type Wire } from "../../api";
import { useProject, useSignedIn } from "../../app";
import { EmptyState, Loaded, Money, numberText, percentText, Section, ServerTable, type Column } from "../../ui";
import { BudgetButton } from "./BudgetForm";
import { LimitButton } from "./LimitForm";
import { left, nanosOf, ratio } from "./nanos";
import { useProjectNames } from "./names";
import type { View } from "./view";

type Budget = Wire<"BudgetObject">;
type Limit = Wire<"LimitObject">;

export function Budgets({ view }: { view: View }) {
  const { t } = useTranslation("usage");
  const { organization } = useSignedIn();
  const project = useProject();
  return (
    <>
      {view.scope === "organization" && (
        <Subject scope="organization" id={organization.id} title={t("budgets.of", { name: organization.name })} callScope="organization" />
      )}
      {project && <Subject scope="project" id={project.id} title={t("budgets.of", { name: project.name })} callScope={view.scope} />}
      <Section title={t("limits.title")}>
        <LimitTable view={view} />
      </Section>
    </>
  );
}

interface SubjectProps {
  scope: "organization" | "project";
  id: string;
  title: string;
  callScope: Scope;
}

function Subject({ scope, id, title, callScope }: SubjectProps) {
  const query = useQuery({
    queryKey: ["limits", "subject", callScope, scope, id],
    refetchInterval: 30_000,
    queryFn: ({ signal }) =>
      api.get("/api/limits/{scope}/{subject_id}", { path: { scope, subject_id: id }, scope: callScope, signal }),
  });
  const { t } = useTranslation("usage");
  return (
    <Section
      title={title}
      extra={
        query.data && (
          <>
            <BudgetButton scope={scope} id={id} known={query.data.budgets} /> <LimitButton scope={scope} id={id} known={query.data.limits} />
          </>
        )
      }
    >
      <Loaded query={query}>
        {({ budgets, models }) => (
          <>
            {budgets.length === 0 && <EmptyState title={t("budgets.none")} next={t("budgets.noneNext")} />}
            {budgets.map((budget) => (
              <BudgetBar key={budget.id} budget={budget} />
            ))}
            {models.mode === "allow_list" && <p>{t("budgets.only", { models: models.model_ids.join(", ") || "–" })}</p>}
            {models.mode !== "allow_list" && models.model_ids.length > 0 && (
              <p>{t("budgets.except", { models: models.model_ids.join(", ") })}</p>
            )}
          </>
        )}
      </Loaded>
    </Section>
  );
}

function BudgetBar({ budget }: { budget: Budget }) {
  const { t, i18n } = useTranslation("usage");
  const [amount, spent] = [nanosOf(budget.amount), nanosOf(budget.spent)];
  const used = ratio(spent, amount);
  const { currency } = budget;
  const label = t(`budgets.periods.${budget.period}`);
  return (
    <div className="usage-budget">
      <div className="usage-budget-head">
        <strong>{label}</strong>
        <Tag>{t(budget.hard ? "budgets.hard" : "budgets.soft")}</Tag>
        {budget.enforcing && <Tag color="error">{t("budgets.enforcing")}</Tag>}
      </div>
      <Progress
        aria-label={label}
        percent={Math.min(100, used * 100)}
        status={used >= 1 ? "exception" : "normal"}
        format={() => percentText(used, i18n.language, 1)}
      />
      <p className="number">
        {t("budgets.spent")} <Money nanos={spent} currency={currency} /> {t("budgets.outOf")} <Money nanos={amount} currency={currency} />
        {" · "}
        {t("budgets.left")}{" "}
        <strong>
          <Money nanos={left(amount, spent)} currency={currency} />
        </strong>
      </p>
      {budget.alert_percent.length > 0 && (
        <p className="quiet">{t("budgets.alerts", { percents: budget.alert_percent.map((percent) => `${percent} %`).join(", ") })}</p>
      )}
    </div>
  );
}

function LimitTable({ view }: { view: View }) {
  const { t, i18n } = useTranslation("usage");
  const { organization } = useSignedIn();
  const projects = useProjectNames();
  const rate = (value: number | null) => (value === null ? t("limits.none") : numberText(value, i18n.language));
  const subject = (row: Limit) => {
    if (row.scope === "organization") return organization.name;
    return row.scope === "project" ? (projects.get(row.subject_id) ?? row.subject_id) : row.subject_id;
  };
  const columns: Column<Limit>[] = [
    { key: "who", title: t("limits.who"), render: (row) => `${t(`limits.scopes.${row.scope}`)} · ${subject(row)}` },
    { key: "model", title: t("limits.model"), render: (row) => row.model || t("limits.allModels") },
    { key: "requests", align: "right", title: t("limits.requests"), render: (row) => rate(row.requests_per_minute) },
    { key: "tokens", align: "right", title: t("limits.tokens"), render: (row) => rate(row.tokens_per_minute) },
    { key: "concurrent", align: "right", title: t("limits.concurrent"), render: (row) => rate(row.concurrent_requests) },
  ];
  return (
    <ServerTable
      label={t("limits.title")}
      queryKey={["limits", "list", view.scope]}
      fetchPage={({ after, limit, signal }) => api.get("/api/limits", { query: { after, limit }, scope: view.scope, signal })}
      rowKey={(row) => row.id}
      columns={columns}
      empty={<EmptyState title={t("limits.empty")} next={t("limits.emptyNext")} />}
    />
  );
}

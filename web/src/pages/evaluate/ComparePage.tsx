/** Two runs over the same items: is the second one better, or is it chance, and which answers changed. */
import { SwapOutlined } from "@ant-design/icons";
import { useQuery } from "@tanstack/react-query";
import { Alert, Button, Flex, Form, Select } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useParams, useSearchParams } from "react-router";
import { allOf, api } from "../../api";
import { EmptyState, Loaded, PageHeader, Section } from "../../ui";
import type { Comparison } from "./comparison";
import { Pairs } from "./Pairs";
import { EVALS_KEY, type Eval, type Run } from "./types";
import { VerdictView } from "./Verdict";

const MOST_RUNS = 500;

export function ComparePage() {
  const { evalId = "" } = useParams();
  const { t } = useTranslation("evaluate");
  const [search] = useSearchParams();
  const [a, b] = [search.get("a") ?? "", search.get("b") ?? ""];
  const parent = useQuery({
    queryKey: [...EVALS_KEY, evalId],
    queryFn: ({ signal }) => api.get("/v1/evals/{eval_id}", { path: { eval_id: evalId }, signal }),
  });
  return (
    <>
      <PageHeader
        title={t("compare.title")}
        intro={<Link to={`/evaluate/${evalId}`}>{parent.data?.name ?? evalId}</Link>}
        help="docs/evaluation"
      />
      <RunChoice evalId={evalId} />
      <Loaded query={parent}>
        {(entry) => (a && b && a !== b ? <Compared entry={entry} a={a} b={b} /> : <EmptyState title={t("compare.choose")} />)}
      </Loaded>
    </>
  );
}

/** The choice stands in the address, so that a comparison can be sent to somebody. */
function RunChoice({ evalId }: { evalId: string }) {
  const { t } = useTranslation("evaluate");
  const [search, setSearch] = useSearchParams();
  const runs = useQuery({
    queryKey: [...EVALS_KEY, evalId, "runs", "finished"],
    queryFn: ({ signal }) =>
      allOf<Run>(
        ({ signal, ...query }) =>
          api.get("/v1/evals/{eval_id}/runs", {
            path: { eval_id: evalId },
            query: { ...query, order: "desc", status: "completed" },
            signal,
          }),
        signal,
        MOST_RUNS,
      ),
  });
  const options = (runs.data ?? []).map((run) => ({ value: run.id, label: [...new Set([run.name, run.model])].filter(Boolean).join(" · ") }));
  const chosen = { a: search.get("a"), b: search.get("b") };
  const choose = (change: Partial<typeof chosen>) => {
    const next = Object.entries({ ...chosen, ...change }).flatMap(([side, id]) => (id ? [[side, id] as [string, string]] : []));
    setSearch(next, { replace: true });
  };
  return (
    <Form layout="inline" className="page-header" aria-label={t("compare.runs")}>
      {(["a", "b"] as const).map((side) => (
        <Form.Item key={side} label={t(`compare.${side}`)} htmlFor={`compare-${side}`}>
          <Select
            id={`compare-${side}`}
            className="filter"
            popupMatchSelectWidth={false}
            loading={runs.isLoading}
            value={chosen[side]}
            options={options.map((option) => ({ ...option, disabled: option.value === chosen[side === "a" ? "b" : "a"] }))}
            onChange={(id) => choose({ [side]: id })}
          />
        </Form.Item>
      ))}
      <Button icon={<SwapOutlined />} onClick={() => choose({ a: chosen.b, b: chosen.a })}>
        {t("compare.swap")}
      </Button>
    </Form>
  );
}

function Compared({ entry, a, b }: { entry: Eval; a: string; b: string }) {
  const { t } = useTranslation("evaluate");
  const [criterion, setCriterion] = useState<string | null>(null);
  const query = useQuery({
    queryKey: [...EVALS_KEY, entry.id, "compare", a, b],
    queryFn: async ({ signal }) => {
      const found = await api.get("/api/evals/{eval_id}/compare", { path: { eval_id: entry.id }, query: { run_a: a, run_b: b }, signal });
      return found as unknown as Comparison;
    },
  });
  return (
    <Loaded query={query} rows={8}>
      {(found) => {
        const several = found.per_testing_criteria.length > 1;
        const verdict = found.per_testing_criteria.find(({ testing_criteria: name }) => name === criterion) ?? found.overall;
        return (
          <>
            <Unpaired found={found} />
            <Section
              title={t("compare.verdict")}
              extra={
                several && (
                  <Flex gap={8} align="center">
                    <label htmlFor="compare-check">{t("rates.check")}</label>
                    <Select
                      id="compare-check"
                      value={criterion ?? ""}
                      onChange={(name: string) => setCriterion(name || null)}
                      options={[
                        { value: "", label: t("rates.all") },
                        ...found.per_testing_criteria.map(({ testing_criteria: name }) => ({ value: name, label: name })),
                      ]}
                    />
                  </Flex>
                )
              }
            >
              <VerdictView found={found} verdict={verdict} />
            </Section>
            <Pairs key={`${a} ${b} ${criterion ?? ""}`} entry={entry} a={a} b={b} verdict={verdict} />
          </>
        );
      }}
    </Loaded>
  );
}

/** What the comparison leaves out. */
function Unpaired({ found }: { found: Comparison }) {
  const { t } = useTranslation("evaluate");
  const lines = [
    ...(found.run_a.unpaired_items ? [t("compare.unpaired", { side: "A", count: found.run_a.unpaired_items })] : []),
    ...(found.run_b.unpaired_items ? [t("compare.unpaired", { side: "B", count: found.run_b.unpaired_items })] : []),
    ...(found.errored_pairs ? [t("compare.erroredPairs", { count: found.errored_pairs })] : []),
  ];
  if (lines.length === 0) return null;
  return <Alert type="warning" showIcon className="form-error" title={t("compare.leftOut")} description={lines.map((line) => <div key={line}>{line}</div>)} />;
}

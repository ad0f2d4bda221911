/** Every graded item of a run, by result. */
import { Drawer, Flex, Select } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api } from "../../api";
import { stateOf } from "../../app/jobs/source";
import { EmptyState, Section, ServerTable } from "../../ui";
import { answerOf, questionOf, referenceOf } from "./items";
import { ItemDetail } from "./ItemDetail";
import { Passed } from "./RunStatus";
import { EVALS_KEY, type Eval, type Item, type Run } from "./types";

const FILTERS = ["all", "fail", "error", "pass"] as const;
type Filter = (typeof FILTERS)[number];
const SHOWN = 160;
const REFRESH_MS = 5000;

export function Items({ entry, run }: { entry: Eval; run: Run }) {
  const { t } = useTranslation("evaluate");
  const [filter, setFilter] = useState<Filter>("all");
  const [shown, setShown] = useState<Item | null>(null);
  const path = { eval_id: entry.id, run_id: run.id };
  return (
    <Section title={t("items.title")}>
      <Flex gap={8} align="center" className="page-header">
        <label htmlFor="item-filter">{t("items.filter")}</label>
        <Select<Filter>
          id="item-filter"
          className="filter"
          value={filter}
          onChange={setFilter}
          options={FILTERS.map((value) => ({ value, label: t(`items.${value}`) }))}
        />
      </Flex>
      <ServerTable<Item>
        label={t("items.title")}
        queryKey={[...EVALS_KEY, entry.id, "runs", run.id, "items", filter]}
        {...(stateOf(run.status) === "active" && { refreshMilliseconds: REFRESH_MS })}
        fetchPage={({ signal, ...query }) =>
          api.get("/v1/evals/{eval_id}/runs/{run_id}/output_items", {
            path,
            query: { ...query, ...(filter !== "all" && { status: filter }) },
            signal,
          })
        }
        rowKey={(item) => item.id}
        onOpen={setShown}
        empty={<EmptyState title={t("items.none")} next={t(filter === "all" ? "items.noneYet" : "items.noneNext")} />}
        columns={[
          { key: "number", title: t("items.number"), align: "right", render: (item) => item.datasource_item_id + 1 },
          { key: "status", title: t("items.result"), render: (item) => <Passed status={item.status} /> },
          { key: "question", title: t("items.question"), width: "40%", render: (item) => short(questionOf(item)) },
          { key: "reference", title: t("items.reference"), render: (item) => short(referenceOf(item, entry.testing_criteria)) },
          { key: "answer", title: t("items.answer"), render: (item) => short(answerOf(item)) },
        ]}
      />
      <Drawer open={shown !== null} title={t("items.detail", { number: (shown?.datasource_item_id ?? 0) + 1 })} onClose={() => setShown(null)} size="large">
        {shown && <ItemDetail item={shown} entry={entry} />}
      </Drawer>
    </Section>
  );
}

function short(text: string): string {
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}

/** The same items in both runs, answer by answer; by default those on which the runs disagree. */
import { LeftOutlined, RightOutlined } from "@ant-design/icons";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Button, Flex, Segmented } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api } from "../../api";
import { EmptyState, Loaded, Section } from "../../ui";
import { Difference } from "../lab";
import { flippedBy, type PairFilter, type Verdict } from "./comparison";
import { answerOf, questionOf, referenceOf } from "./items";
import { Results } from "./ItemDetail";
import { lockstep, type Cursors, type Pair, type PairPage } from "./pairs";
import { EVALS_KEY, type Eval } from "./types";

const PAGE = 10;
const FILTERS = ["disagree", "pass", "fail", "all"] as const;
const START: Cursors = { a: undefined, b: undefined };

interface PairsProps {
  entry: Eval;
  a: string;
  b: string;
  verdict: Verdict;
}

export function Pairs({ entry, a, b, verdict }: PairsProps) {
  const { t } = useTranslation("evaluate");
  const [filter, setFilter] = useState<PairFilter | "all">("disagree");
  const [page, setPage] = useState(0);
  // where the pages of "all" begin; the API's lists only go forward
  const [cursors, setCursors] = useState<Cursors[]>([START]);
  const flipped = filter === "all" ? [] : flippedBy(verdict, filter);
  const query = useQuery({
    queryKey: [...EVALS_KEY, entry.id, "pairs", a, b, verdict.testing_criteria, filter, page],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }): Promise<PairPage> =>
      filter === "all"
        ? lockstep((run, after) => itemsAfter(entry.id, run, after, signal), a, b, cursors[page] ?? START)
        : flippedPage(entry.id, { a, b }, flipped.slice(page * PAGE, (page + 1) * PAGE), signal),
  });
  const choose = (next: PairFilter | "all") => {
    setFilter(next);
    setPage(0);
    setCursors([START]);
  };
  const following = query.data?.next ?? null;
  const more = filter === "all" ? following !== null : (page + 1) * PAGE < flipped.length;
  const forward = () => {
    if (filter === "all" && following) setCursors([...cursors.slice(0, page + 1), following]);
    setPage(page + 1);
  };
  const count = { disagree: verdict.flipped.length, pass: flippedBy(verdict, "pass").length, fail: flippedBy(verdict, "fail").length, all: verdict.n };
  return (
    <Section title={t("pairs.title")}>
      <Segmented<PairFilter | "all">
        aria-label={t("items.filter")}
        value={filter}
        onChange={choose}
        options={FILTERS.map((value) => ({ value, label: t(`pairs.filters.${value}`, { count: count[value] }) }))}
      />
      {filter !== "all" && verdict.flipped_total > verdict.flipped.length && (
        <p className="quiet">{t("pairs.cut", { count: verdict.flipped.length, total: verdict.flipped_total })}</p>
      )}
      <div aria-live="polite" className="section">
        <Loaded query={query}>
          {({ pairs }) =>
            pairs.length === 0 ? (
              <EmptyState title={t("pairs.none")} next={t("pairs.noneNext")} />
            ) : (
              pairs.map((pair) => <PairView key={pair.a.id} pair={pair} entry={entry} />)
            )
          }
        </Loaded>
      </div>
      {(page > 0 || more) && (
        <Flex gap={8} align="center" justify="end">
          <Button icon={<LeftOutlined />} aria-label={t("pairs.previous")} disabled={page === 0} onClick={() => setPage(page - 1)} />
          <span aria-live="polite">{t("pairs.page", { number: page + 1 })}</span>
          <Button icon={<RightOutlined />} aria-label={t("pairs.next")} disabled={!more || query.isPlaceholderData} onClick={forward} />
        </Flex>
      )}
    </Section>
  );
}

async function flippedPage(
  evalId: string,
  runs: { a: string; b: string },
  shown: Verdict["flipped"],
  signal: AbortSignal,
): Promise<PairPage> {
  const item = (run_id: string, output_item_id: string) =>
    api.get("/v1/evals/{eval_id}/runs/{run_id}/output_items/{output_item_id}", {
      path: { eval_id: evalId, run_id, output_item_id },
      signal,
    });
  const pairs = await Promise.all(
    shown.map(async (ids): Promise<Pair> => {
      const [a, b] = await Promise.all([item(runs.a, ids.run_a_item_id), item(runs.b, ids.run_b_item_id)]);
      return { a, b };
    }),
  );
  return { pairs, next: null };
}

function itemsAfter(eval_id: string, run_id: string, after: string | undefined, signal: AbortSignal) {
  const query = { after, limit: PAGE, order: "asc" as const };
  return api.get("/v1/evals/{eval_id}/runs/{run_id}/output_items", { path: { eval_id, run_id }, query, signal });
}

function PairView({ pair: { a, b }, entry }: { pair: Pair; entry: Eval }) {
  const { t } = useTranslation("evaluate");
  const reference = referenceOf(a, entry.testing_criteria);
  const [before, after] = [answerOf(a), b ? answerOf(b) : ""];
  return (
    <article className="pair">
      <h3>{t("items.detail", { number: a.datasource_item_id + 1 })}</h3>
      <p className="quote">{questionOf(a)}</p>
      {reference && (
        <p>
          <span className="quiet">{t("items.reference")}</span> {reference}
        </p>
      )}
      <div className="pair-answers">
        <div>
          <span className="quiet">{t("pairs.answerA")}</span>
          <p className="quote">{before || "–"}</p>
          <Results item={a} />
        </div>
        <div>
          <span className="quiet">{t("pairs.answerB")}</span>
          {b ? (
            <>
              <p className="quote">{before === after ? after || "–" : <Difference before={before} after={after} />}</p>
              <Results item={b} />
            </>
          ) : (
            <p className="quiet">{t("pairs.unpaired")}</p>
          )}
        </div>
      </div>
    </article>
  );
}

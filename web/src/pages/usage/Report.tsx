/** The period's totals, its chart, and who used what. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Statistic } from "antd";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { EmptyState, Loaded, Money, Section, moneyText, numberText } from "../../ui";
import { Breakdown } from "./Breakdown";
import { ofModels } from "./entries";
import { Chart, MOST_SERIES } from "./Chart";
import { useGroupNames } from "./names";
import { widthOf } from "./period";
import { COST_GROUP, costReport, FAMILIES, USAGE_GROUP, usageReport, type CostRow, type Report as Rows, type UsageRow } from "./reports";
import { costTotals, OTHERS, seriesOf, unpriced, usageTotals } from "./totals";
import type { View } from "./view";

interface Reports {
  usage: Rows<UsageRow>;
  costs: Rows<CostRow>;
}

function useReports({ period, scope, grouping }: View) {
  return useQuery({
    queryKey: ["usage", scope, period, grouping],
    placeholderData: keepPreviousData,
    refetchInterval: 60_000,
    queryFn: async ({ signal }): Promise<Reports> => {
      const asked = { period, scope, signal };
      const [usage, costs] = await Promise.all([
        usageReport(FAMILIES, USAGE_GROUP[grouping], asked),
        costReport(COST_GROUP[grouping], asked),
      ]);
      return { usage, costs };
    },
  });
}

export function Report({ view }: { view: View }) {
  const query = useReports(view);
  return (
    <Loaded query={query} rows={8}>
      {(reports) => <Shown view={view} {...reports} />}
    </Loaded>
  );
}

function Shown({ view, usage, costs }: Reports & { view: View }) {
  const { t } = useTranslation("usage");
  if (usage.rows.length === 0 && costs.rows.length === 0) {
    return (
      <Section title={t(`measures.${view.measure}`)}>
        <EmptyState title={t("empty")} next={t("emptyNext")} />
      </Section>
    );
  }
  return (
    <>
      <Totals usage={usage.rows} costs={costs.rows} />
      <Section title={t("over", { measure: t(`measures.${view.measure}`), by: t(`groupings.${view.grouping}`) })}>
        {view.measure === "cost" ? <CostCharts view={view} costs={costs} /> : <UsageChart view={view} usage={usage} />}
      </Section>
      <Breakdown view={view} usage={usage.rows} costs={costs.rows} />
    </>
  );
}

function Totals({ usage, costs }: { usage: UsageRow[]; costs: CostRow[] }) {
  const { t, i18n } = useTranslation("usage");
  const sums = usageTotals(usage);
  const amounts = [...costTotals(costs)];
  const missing = unpriced(costs);
  const number = (value: number) => numberText(value, i18n.language);
  return (
    <div className="usage-totals">
      <Section title={t("totals.cost")}>
        <div className="usage-total">
          {amounts.length === 0 && "–"}
          {amounts.map(([currency, nanos]) => (
            <div key={currency}>
              <Money nanos={nanos} currency={currency} />
            </div>
          ))}
        </div>
        {missing > 0 && <p className="quiet">{t("totals.unpriced", { count: missing })}</p>}
      </Section>
      <Section title={t("totals.requests")}>
        <Statistic value={number(sums.requests)} />
      </Section>
      <Section title={t("totals.input")}>
        <Statistic value={number(sums.input)} />
        {sums.cached > 0 && <p className="quiet">{t("totals.cached", { count: number(sums.cached) })}</p>}
      </Section>
      <Section title={t("totals.output")}>
        <Statistic value={number(sums.output)} />
      </Section>
    </div>
  );
}

function useTexts(view: View) {
  const { t, i18n } = useTranslation("usage");
  const nameOf = useGroupNames(view.grouping);
  const hours = widthOf(view.period) === "1h";
  return useMemo(() => {
    // buckets are UTC days and hours: shown in UTC, so that a bucket is not the day before in the west
    const format = new Intl.DateTimeFormat(i18n.language, {
      timeZone: "UTC",
      month: "numeric",
      day: "numeric",
      ...(hours && { hour: "2-digit", hourCycle: "h23" as const }),
    });
    return {
      t,
      language: i18n.language,
      nameOf: (group: string) => (group === OTHERS ? t("others") : nameOf(group)),
      bucketText: (start: number) => format.format(start * 1000),
    };
  }, [t, i18n.language, nameOf, hours]);
}

function UsageChart({ view, usage }: { view: View; usage: Rows<UsageRow> }) {
  const { t, language, ...texts } = useTexts(view);
  const value = (row: UsageRow) => (view.measure === "requests" ? row.requests : row.input + row.output);
  return (
    <Chart
      {...texts}
      label={t("chart", { measure: t(`measures.${view.measure}`), by: t(`groupings.${view.grouping}`) })}
      buckets={usage.buckets}
      series={seriesOf(usage.rows, usage.buckets, value, MOST_SERIES)}
      valueText={(number) => numberText(number, language)}
      provisional={usage.provisional}
    />
  );
}

/** One chart a currency: amounts in different money are not stacked. */
function CostCharts({ view, costs }: { view: View; costs: Rows<CostRow> }) {
  const { t, language, ...texts } = useTexts(view);
  const rows = ofModels(costs.rows, view.grouping);
  const currencies = [...costTotals(rows).keys()];
  if (currencies.length === 0) return <EmptyState title={t("noCosts")} next={t("noCostsNext")} />;
  return currencies.map((currency) => (
    <Chart
      key={currency}
      {...texts}
      label={t("chartMoney", { currency, by: t(`groupings.${view.grouping}`) })}
      buckets={costs.buckets}
      series={seriesOf(
        rows.filter((row) => row.currency === currency),
        costs.buckets,
        // good enough to draw: sums are shown from whole nanos
        (row) => Number(row.nanos ?? 0n) / 1e9,
        MOST_SERIES,
      )}
      valueText={(amount) => moneyText(amount, currency, language)}
      provisional={costs.provisional}
    />
  ));
}

/** What the project has spent and used since midnight. */
import { useQuery } from "@tanstack/react-query";
import { Statistic } from "antd";
import { useTranslation } from "react-i18next";
import { api } from "../../api";
import { EmptyState, Loaded, Money, Section, numberText } from "../../ui";
import { hasUnpriced, spentIn, startOfToday } from "./sums";

export function CostToday() {
  const { t, i18n } = useTranslation("home");
  const query = useQuery({
    queryKey: ["cost-today"],
    queryFn: async ({ signal }) => {
      const since = startOfToday(new Date());
      const [costs, usage] = await Promise.all([
        api.get("/v1/organization/costs", {
          query: { start_time: since, bucket_width: "1h", limit: 25 },
          scope: "project",
          signal,
        }),
        api.get("/api/usage/summary", { query: { since }, signal }),
      ]);
      return { costs, usage };
    },
    refetchInterval: 60_000,
  });
  return (
    <Section title={t("cost.title")}>
      <Loaded query={query}>
        {({ costs, usage }) => {
          const spent = spentIn(costs);
          const total = (of: "requests" | "failed" | "prompt_tokens" | "completion_tokens") =>
            usage.models.reduce((sum, line) => sum + line[of], 0);
          if (total("requests") === 0 && spent.length === 0) {
            return <EmptyState title={t("cost.none")} next={t("cost.noneNext")} />;
          }
          const text = (value: number) => numberText(value, i18n.language);
          return (
            <>
              <p className="amount">
                {spent.length > 0
                  ? spent.map(({ currency, nanos }) => <Money key={currency} currency={currency} nanos={nanos} />)
                  : t("cost.noPrice")}
              </p>
              {hasUnpriced(costs) && <p className="quiet">{t("cost.unpriced")}</p>}
              <div className="figures">
                <Statistic title={t("cost.requests")} value={text(total("requests"))} />
                <Statistic title={t("cost.failed")} value={text(total("failed"))} />
                <Statistic title={t("cost.input")} value={text(total("prompt_tokens"))} />
                <Statistic title={t("cost.output")} value={text(total("completion_tokens"))} />
              </div>
            </>
          );
        }}
      </Loaded>
    </Section>
  );
}

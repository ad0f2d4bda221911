/** Who answered, how fast, with how many tokens, for how much. */
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api } from "../../api";
import { useMay } from "../../app";
import { Money, numberText } from "../../ui";
import { useModels, useRoutes } from "../run";
import { costOf, priceOf, type Price } from "./prices";
import { answering, speedOf, type Readout as Facts } from "./turns";

export function Readout({ facts }: { facts: Facts }) {
  const { t, i18n } = useTranslation("playground");
  const number = (value: number) => numberText(value, i18n.language);
  const seconds = (milliseconds: number) => numberText(milliseconds / 1000, i18n.language, 2);
  const { usage, firstMs, totalMs } = facts;
  const speed = speedOf(facts);
  const cached = usage?.prompt_tokens_details?.cached_tokens ?? 0;
  return (
    <p className="play-readout quiet number">
      {facts.state !== "running" && facts.state !== "done" && <strong>{t(`readout.${facts.state}`)}</strong>}
      {facts.finish === "length" && <strong>{t("readout.cut")}</strong>}
      {firstMs !== null && <span>{t("readout.first", { seconds: seconds(firstMs) })}</span>}
      {totalMs !== null && <span>{t("readout.total", { seconds: seconds(totalMs) })}</span>}
      {usage && (
        <>
          <span>
            {cached > 0
              ? t("readout.inputCached", { tokens: number(usage.prompt_tokens), cached: number(cached) })
              : t("readout.input", { tokens: number(usage.prompt_tokens) })}
          </span>
          <span>{t("readout.output", { tokens: number(usage.completion_tokens) })}</span>
          {speed !== null && <span>{t("readout.speed", { speed: numberText(speed, i18n.language, 1) })}</span>}
          <CostOf facts={facts} />
        </>
      )}
      {!usage && facts.state !== "running" && <span>{t("readout.noUsage")}</span>}
    </p>
  );
}

function CostOf({ facts }: { facts: Facts }) {
  const { t } = useTranslation("playground");
  const may = useMay()("usage:read");
  const prices = usePrices();
  const models = useModels();
  const routes = useRoutes();
  if (!may || !prices.data || !models.data || !facts.usage) return null;
  const model = answering(facts.model, models.data, routes.data ?? []);
  if (model === null) return <span>{t("readout.severalModels")}</span>;
  const price = priceOf(prices.data, model, facts.at);
  if (price === null) return <span title={t("readout.noPriceWhy")}>{t("readout.noPrice")}</span>;
  const cost = costOf(price, facts.usage);
  return (
    <span title={t("readout.costWhy")}>
      {t("readout.cost")} <Money nanos={cost.nanos} currency={cost.currency} />
    </span>
  );
}

function usePrices() {
  return useQuery({
    queryKey: ["prices"],
    enabled: useMay()("usage:read"),
    staleTime: 60_000,
    queryFn: async ({ signal }): Promise<Price[]> => (await api.get("/api/prices", { scope: "project", signal })).data,
  });
}

/** What 1,000 answers of this run take. */
import { useTranslation } from "react-i18next";
import { Money, Section, durationText, numberText } from "../../ui";
import type { Run } from "./types";

interface Thousand {
  tokens: number | null;
  occupied_seconds: number | null;
  answer_seconds: number | null;
  machine_cost: { minor_units: number | null; currency: string } | null;
}

export function Cost({ run }: { run: Run }) {
  const { t, i18n } = useTranslation("evaluate");
  const per = (run.cost?.["per_1000_answers"] ?? {}) as Partial<Thousand>;
  const time = (seconds: number | null | undefined) => (seconds == null ? "–" : durationText(seconds, i18n.language));
  const money = per.machine_cost;
  return (
    <Section title={t("cost.title")}>
      <dl className="facts">
        <div>
          <dt>{t("cost.tokens")}</dt>
          <dd>{per.tokens == null ? "–" : numberText(per.tokens, i18n.language)}</dd>
        </div>
        <div>
          <dt>{t("cost.machine")}</dt>
          <dd>{time(per.occupied_seconds)}</dd>
        </div>
        <div>
          <dt>{t("cost.answer")}</dt>
          <dd>{per.answer_seconds == null ? "–" : t("cost.seconds", { seconds: numberText(per.answer_seconds / 1000, i18n.language, 2) })}</dd>
        </div>
        <div>
          <dt>{t("cost.money")}</dt>
          <dd>{money?.minor_units == null ? t("cost.noPrice") : <Money value={money.minor_units / 100} currency={money.currency} />}</dd>
        </div>
      </dl>
      <p className="quiet">{t("cost.basis")}</p>
    </Section>
  );
}

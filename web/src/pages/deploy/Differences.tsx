/** A change of a plan as a list that people read: what was, what is. */
import { useCallback } from "react";
import { useTranslation } from "react-i18next";
import { differencesOf, type Word } from "./changes";
import type { Plan } from "./plan";

export function useWord(): Word {
  const { t } = useTranslation("deploy");
  return useCallback((kind, word) => t(`${kind}.${word}`), [t]);
}

export function Differences({ before, after }: { before: Plan | null; after: Plan | null }) {
  const { t } = useTranslation("deploy");
  const found = differencesOf(before, after, useWord());
  if (found.length === 0) return <span className="quiet">{t("changes.none")}</span>;
  return (
    <ul className="plain deploy-differences">
      {found.map(({ field, of, before: was, after: is }) => (
        <li key={`${field} ${of}`}>
          {of ? t(`of.${field}`, { of }) : t(`fields.${field}`)}
          {": "}
          {was !== null && (
            <del>
              <span className="unseen">{t("changes.was")} </span>
              {was}
            </del>
          )}
          {was !== null && is !== null && " → "}
          {is !== null ? <ins>{is}</ins> : <span className="quiet"> {t("changes.gone")}</span>}
        </li>
      ))}
    </ul>
  );
}

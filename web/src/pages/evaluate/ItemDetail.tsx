/** One item in full: the question, what was expected, the answer, and what each check said. */
import { Alert } from "antd";
import { useTranslation } from "react-i18next";
import { numberText } from "../../ui";
import { answerOf, referenceOf, resultsOf, sampleOf } from "./items";
import { Passed } from "./RunStatus";
import type { Eval, Item } from "./types";

export function ItemDetail({ item, entry }: { item: Item; entry: Eval }) {
  const { t } = useTranslation("evaluate");
  const sample = sampleOf(item);
  const reference = referenceOf(item, entry.testing_criteria);
  return (
    <div className="section">
      <h3>{t("items.question")}</h3>
      {(sample.input ?? []).map((message, index) => (
        <p key={index} className="quote">
          <span className="quiet">{t(`items.roles.${message.role}`, { defaultValue: message.role })}</span>
          {"\n"}
          {message.content}
        </p>
      ))}
      {reference && (
        <>
          <h3>{t("items.reference")}</h3>
          <p className="quote">{reference}</p>
        </>
      )}
      <h3>{t("items.answer")}</h3>
      {sample.error ? <Alert type="warning" showIcon title={sample.error.message} /> : <p className="quote">{answerOf(item) || "–"}</p>}
      <h3>{t("checks")}</h3>
      <Results item={item} />
      <details>
        <summary>{t("items.row")}</summary>
        <pre className="scroll">{JSON.stringify(item.datasource_item, null, 2)}</pre>
      </details>
    </div>
  );
}

export function Results({ item }: { item: Item }) {
  const { i18n } = useTranslation();
  return (
    <ul className="plain">
      {resultsOf(item).map((result) => (
        <li key={result.name}>
          <Passed status={result.error ? "error" : result.passed ? "pass" : "fail"} /> {result.name}{" "}
          {result.error ? result.error.message : <span className="quiet number">{numberText(result.score, i18n.language, 3)}</span>}
        </li>
      ))}
    </ul>
  );
}

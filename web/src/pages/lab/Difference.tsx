/** Two texts as one, with what is gone and what is new; marked by line and sign, not by colour alone. */
import { useTranslation } from "react-i18next";
import { differenceOf } from "./words";

export function Difference({ before, after }: { before: string; after: string }) {
  const { t } = useTranslation("lab");
  return (
    <span className="difference">
      {differenceOf(before, after).map(({ text, kind }, index) => {
        if (kind === "same") return <span key={index}>{text}</span>;
        const Tag = kind === "gone" ? "del" : "ins";
        return (
          <Tag key={index}>
            <span className="unseen">{t(kind)}</span>
            {text}
          </Tag>
        );
      })}
    </span>
  );
}

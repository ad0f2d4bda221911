/** "train 80 % · test 20 %". */
import { useTranslation } from "react-i18next";
import { percentText } from "../../../ui";
import type { Version } from "../types";

export function SplitText({ version }: { version: Version }) {
  const { i18n } = useTranslation();
  const parts = Object.entries(version.splits).map(([name, share]) => `${name} ${percentText(share, i18n.language, 2)}`);
  return <span className="number">{parts.join(" · ")}</span>;
}

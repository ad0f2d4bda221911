/** How it was made: every number of the recipe, and the version of the code. */
import { useTranslation } from "react-i18next";
import { Section } from "../../ui";
import type { Version } from "./types";

export function Recipe({ version }: { version: Version }) {
  const { t } = useTranslation("versions");
  const entries = Object.entries(version.recipe).filter(([, value]) => value !== null);
  return (
    <Section title={t("recipe.title")}>
      <dl className="facts">
        {entries.map(([name, value]) => (
          <div key={name}>
            <dt>
              <code>{name}</code>
            </dt>
            <dd>{textOf(value)}</dd>
          </div>
        ))}
        <div>
          <dt>{t("recipe.code")}</dt>
          <dd>{version.code_version}</dd>
        </div>
      </dl>
    </Section>
  );
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value.join(", ");
  return JSON.stringify(value);
}

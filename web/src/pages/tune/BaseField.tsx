/** The base models that can be tuned, with what they need. */
import { useQuery } from "@tanstack/react-query";
import { Form, Radio, Tag } from "antd";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { api } from "../../api";
import { EmptyState, Loaded, bytesText, numberText } from "../../ui";
import type { Base } from "./types";

export function useTunable() {
  return useQuery({
    queryKey: ["base-models"],
    queryFn: async ({ signal }) => (await api.get("/api/base_models", { signal })).data,
    select: (bases) => bases.filter(({ capabilities }) => capabilities.includes("tune")),
  });
}

export function BaseField() {
  const { t } = useTranslation("tune");
  const query = useTunable();
  return (
    <Loaded query={query}>
      {(bases) =>
        bases.length === 0 ? (
          <EmptyState title={t("new.noBase")} next={t("new.noBaseNext")} action={<Link to="/models">{t("new.toModels")}</Link>} />
        ) : (
          <Form.Item
            name="model"
            label={t("base")}
            extra={t("new.baseHelp")}
            rules={[{ required: true, message: t("new.baseMissing") }]}
          >
            <Radio.Group>
              {bases.map((base) => (
                <Choice key={base.id} base={base} />
              ))}
            </Radio.Group>
          </Form.Item>
        )
      }
    </Loaded>
  );
}

function Choice({ base }: { base: Base }) {
  const { t, i18n } = useTranslation("tune");
  const facts = [
    t("new.parameters", { count: sizeText(base.parameters, i18n.language) }),
    t("new.context", { count: numberText(base.context_tokens, i18n.language) }),
    t("new.needs", { size: bytesText(base.fit.tune_bytes, i18n.language) }),
    base.licence,
  ];
  return (
    <Radio value={base.id} className="choice">
      {base.display_name[i18n.language] ?? base.id} <code>{base.id}</code>{" "}
      {!base.fit.tune && <Tag>{t("new.tight")}</Tag>}
      {base.shutdown_date && <Tag>{t("new.until", { date: base.shutdown_date })}</Tag>}
      <span className="quiet">{facts.filter(Boolean).join(" · ")}</span>
    </Radio>
  );
}

function sizeText(parameters: number, language: string): string {
  return parameters < 1e9 ? `${numberText(parameters / 1e6, language)}M` : `${numberText(parameters / 1e9, language, 1)}B`;
}

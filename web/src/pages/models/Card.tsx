/** One base model at a glance. */
import { Flex } from "antd";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { Section } from "../../ui";
import type { BaseModel } from "./model";
import {
  Capabilities,
  Facts,
  FitTags,
  Licence,
  ModelName,
  Origin,
  Parameters,
  PriceText,
  ShutdownTag,
  Tokens,
  useModelName,
} from "./parts";

export function Card({ base }: { base: BaseModel }) {
  const { t } = useTranslation("models");
  const nameOf = useModelName();
  return (
    <Section
      title={<Link to={`/models/${encodeURIComponent(base.id)}`}>{nameOf(base)}</Link>}
      extra={<ShutdownTag base={base} />}
    >
      <Flex vertical gap={10}>
        <ModelName base={base} />
        <Capabilities base={base} />
        <Facts
          facts={[
            { name: t("facts.parameters"), value: <Parameters base={base} /> },
            { name: t("facts.context"), value: <Tokens base={base} /> },
            { name: t("facts.licence"), value: <Licence base={base} /> },
            { name: t("facts.source"), value: <Origin base={base} /> },
            { name: t("facts.price"), value: <PriceText base={base} /> },
          ]}
        />
        <FitTags base={base} />
      </Flex>
    </Section>
  );
}

/** Small parts that cards, list and detail view share. */
import { CheckCircleOutlined, ClockCircleOutlined, CloudOutlined, CloseCircleOutlined, WarningOutlined } from "@ant-design/icons";
import { Flex, Tag, Tooltip } from "antd";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { bytesText, Code, Money, numberText } from "../../ui";
import { endingOf, parametersText, servesHere, sourceOf, tunesHere, type BaseModel, type Place } from "./model";
import { usePrice } from "./use";

export function useModelName(): (base: BaseModel) => string {
  const { i18n } = useTranslation();
  return (base) => base.display_name[i18n.language] ?? base.display_name.en ?? base.id;
}

export function ModelName({ base }: { base: BaseModel }) {
  const { t } = useTranslation("models");
  return (
    <Flex gap={8} align="center" wrap>
      <Code copy>{base.id}</Code>
      <span className="quiet">{t(`scopes.${base.scope}`, { defaultValue: base.scope })}</span>
    </Flex>
  );
}

export function Facts({ facts }: { facts: { name: string; value: ReactNode }[] }) {
  return (
    <dl className="facts models-facts">
      {facts.map(({ name, value }) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Capabilities({ base }: { base: BaseModel }) {
  const { t } = useTranslation("models");
  return (
    <Flex gap={4} wrap>
      {base.capabilities.map((capability) => (
        <Tag key={capability}>{t(`capabilities.${capability}`, { defaultValue: capability })}</Tag>
      ))}
    </Flex>
  );
}

export function Parameters({ base }: { base: BaseModel }) {
  const { t, i18n } = useTranslation("models");
  if (base.parameters <= 0) return <span className="quiet">{t("facts.unknown")}</span>;
  return (
    <span className="number" title={numberText(base.parameters, i18n.language)}>
      {parametersText(base.parameters, i18n.language)}
    </span>
  );
}

export function Licence({ base }: { base: BaseModel }) {
  const { t } = useTranslation("models");
  return base.licence === "NOASSERTION" ? <span className="quiet">{t("facts.noLicence")}</span> : <>{base.licence}</>;
}

export function Tokens({ base }: { base: BaseModel }) {
  const { t, i18n } = useTranslation("models");
  return <span className="number">{t("facts.tokens", { number: numberText(base.context_tokens, i18n.language) })}</span>;
}

/** Where its weights come from, in a line. */
export function Origin({ base }: { base: BaseModel }) {
  const { t } = useTranslation("models");
  const source = sourceOf(base);
  const kind = t(`sources.${source.kind}`);
  const where = {
    package: () => (source.kind === "package" ? source.distribution : ""),
    local: () => (source.kind === "local" ? source.path : ""),
    hub: () => (source.kind === "hub" ? `${t(`hubs.${source.hub}`)} · ${source.repository}` : ""),
    remote: () => (source.kind === "remote" ? `${hostOf(source.base_url)} · ${source.model}` : ""),
  }[source.kind]();
  return (
    <>
      {kind} <span className="quiet">{where}</span>
    </>
  );
}

export function hostOf(address: string): string {
  return URL.canParse(address) ? new URL(address).host : address;
}

export function PriceText({ base }: { base: BaseModel }) {
  const { t } = useTranslation("models");
  const price = usePrice()(base.id);
  if (!price) {
    const own = sourceOf(base).kind !== "remote";
    return <span className="quiet">{t(own ? "price.ownMachine" : "price.none")}</span>;
  }
  return (
    <>
      {t("price.input")} <Money value={price.input} currency={price.currency} />
      {price.output > 0 && (
        <>
          {" · "}
          {t("price.output")} <Money value={price.output} currency={price.currency} />
        </>
      )}{" "}
      <span className="quiet">{t("price.unit")}</span>
    </>
  );
}

const PLACES = {
  remote: <CloudOutlined />,
  yes: <CheckCircleOutlined className="models-yes" />,
  later: <ClockCircleOutlined className="models-later" />,
  never: <CloseCircleOutlined className="models-never" />,
};

function PlaceTag({ what, place, bytes }: { what: "serve" | "tune"; place: Place; bytes: number }) {
  const { t, i18n } = useTranslation("models");
  const needed = place === "remote" ? t("fit.remoteHint") : t("fit.needs", { size: bytesText(bytes, i18n.language) });
  return (
    <Tooltip title={needed}>
      <Tag icon={PLACES[place]}>{t(`fit.${what}.${place}`)}</Tag>
    </Tooltip>
  );
}

/** Whether this machine can serve and tune it now, by the API's estimate. */
export function FitTags({ base }: { base: BaseModel }) {
  const tuning = tunesHere(base);
  return (
    <Flex gap={4} wrap>
      <PlaceTag what="serve" place={servesHere(base)} bytes={base.fit.serve_bytes} />
      {tuning && <PlaceTag what="tune" place={tuning} bytes={base.fit.tune_bytes} />}
    </Flex>
  );
}

/** Nothing while no shutdown is announced. */
export function ShutdownTag({ base }: { base: BaseModel }) {
  const { t, i18n } = useTranslation("models");
  const ending = endingOf(base.shutdown_date, Date.now());
  if (ending === "none" || base.shutdown_date === null) return null;
  const date = new Intl.DateTimeFormat(i18n.language, { dateStyle: "medium", timeZone: "UTC" }).format(
    Date.parse(`${base.shutdown_date}T00:00:00Z`),
  );
  return (
    <Tag icon={<WarningOutlined className={ending === "announced" ? "" : "models-never"} />}>
      {t(`shutdown.${ending}`, { date })}
    </Tag>
  );
}

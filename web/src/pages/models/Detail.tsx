/** Everything about one base model, and what can be done with it. */
import { useQuery } from "@tanstack/react-query";
import { Flex } from "antd";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import { api } from "../../api";
import { useMay } from "../../app";
import { bytesText, Code, Loaded, numberText, PageHeader, Section, Time } from "../../ui";
import { Edit } from "./Edit";
import { Fit } from "./Fit";
import { LiveCheck } from "./LiveCheck";
import { BASES, sourceOf, type BaseModel } from "./model";
import { Capabilities, Facts, Licence, ModelName, Origin, Parameters, PriceText, ShutdownTag, Tokens, useModelName } from "./parts";
import { Remove } from "./Remove";

export function Detail() {
  const { t } = useTranslation("models");
  const id = useParams().id ?? "";
  const nameOf = useModelName();
  const query = useQuery({
    queryKey: [...BASES, "one", id],
    queryFn: ({ signal }) => api.get("/api/base_models/{base_id}", { path: { base_id: id }, signal }),
  });
  const base = query.data;
  return (
    <>
      <PageHeader
        title={base ? nameOf(base) : id}
        intro={base && <ModelName base={base} />}
        actions={<Actions base={base} />}
      />
      <p>
        <Link to="/models">{t("back")}</Link>
      </p>
      <Loaded query={query} rows={8}>
        {(found) => <Parts base={found} />}
      </Loaded>
    </>
  );
}

function Actions({ base }: { base: BaseModel | undefined }) {
  const may = useMay();
  if (!base || base.scope === "built_in" || !may("catalog:write")) return null;
  return (
    <Flex gap={8}>
      <Edit base={base} />
      <Remove base={base} />
    </Flex>
  );
}

function Parts({ base }: { base: BaseModel }) {
  const { t, i18n } = useTranslation("models");
  const note = base.licence_note[i18n.language] ?? base.licence_note.en;
  return (
    <>
      <div className="cards">
        <Section title={t("detail.facts")} extra={<ShutdownTag base={base} />}>
          <Facts
            facts={[
              { name: t("facts.capabilities"), value: <Capabilities base={base} /> },
              { name: t("facts.parameters"), value: <Parameters base={base} /> },
              { name: t("facts.context"), value: <Tokens base={base} /> },
              ...(base.dimensions ? [{ name: t("facts.dimensions"), value: numberText(base.dimensions, i18n.language) }] : []),
              { name: t("facts.languages"), value: <Languages codes={base.languages} /> },
              { name: t("facts.owner"), value: base.owned_by },
              { name: t("facts.price"), value: <PriceText base={base} /> },
              { name: t("facts.shutdown"), value: base.shutdown_date ?? t("facts.noShutdown") },
              { name: t("facts.added"), value: <Time at={base.created} absolute /> },
            ]}
          />
        </Section>
        <Section title={t("facts.licence")}>
          <p>
            <Licence base={base} />
          </p>
          {note ? <p>{note}</p> : <p className="quiet">{t("detail.noLicenceNote")}</p>}
        </Section>
        <Section title={t("facts.source")}>
          <SourceFacts base={base} />
          <LiveCheck base={base} />
        </Section>
        <Section title={t("fit.title")}>
          <Fit base={base} />
        </Section>
      </div>
      {base.chat_template && (
        <details className="models-template">
          <summary>{t("detail.template")}</summary>
          <pre>{base.chat_template}</pre>
        </details>
      )}
    </>
  );
}

function SourceFacts({ base }: { base: BaseModel }) {
  const { t, i18n } = useTranslation("models");
  const source = sourceOf(base);
  const facts = [{ name: t("detail.from"), value: <Origin base={base} /> }];
  if (source.kind === "remote") {
    const sending = t(source.egress_allowed ? "detail.allowed" : "detail.notAllowed");
    facts.push({ name: t("detail.address"), value: <Code copy>{source.base_url}</Code> });
    facts.push({ name: t("detail.sending"), value: <>{sending}</> });
  } else {
    facts.push({ name: t("detail.format"), value: <>{source.format}</> });
    facts.push({ name: t("detail.weights"), value: <>{bytesText(base.weight_bytes, i18n.language)}</> });
    if (base.sha256) facts.push({ name: "SHA-256", value: <Code copy>{base.sha256}</Code> });
  }
  if (source.kind === "hub") facts.push({ name: t("detail.revision"), value: <Code copy>{source.revision}</Code> });
  return <Facts facts={facts} />;
}

function Languages({ codes }: { codes: string[] }) {
  const { t, i18n } = useTranslation("models");
  if (codes.length === 0) return <span className="quiet">{t("facts.unknown")}</span>;
  const names = new Intl.DisplayNames(i18n.language, { type: "language" });
  return <>{codes.map((code) => names.of(code) ?? code).join(i18n.language === "zh" ? "、" : ", ")}</>;
}

/** Base models as a table, for comparing many. */
import { Flex, Table } from "antd";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { Code } from "../../ui";
import type { BaseModel } from "./model";
import { Capabilities, FitTags, Licence, Origin, Parameters, PriceText, ShutdownTag, Tokens, useModelName } from "./parts";

export function List({ models }: { models: BaseModel[] }) {
  const { t } = useTranslation("models");
  const nameOf = useModelName();
  const linkTo = (base: BaseModel) => `/models/${encodeURIComponent(base.id)}`;
  return (
    <Table<BaseModel>
      size="middle"
      caption={<span className="unseen">{t("title")}</span>}
      scroll={{ x: "max-content" }}
      dataSource={models}
      rowKey="id"
      pagination={{ pageSize: 50, hideOnSinglePage: true, showSizeChanger: false }}
      columns={[
        {
          key: "name",
          title: t("facts.model"),
          sorter: (a, b) => nameOf(a).localeCompare(nameOf(b)),
          render: (_, base) => (
            <Flex vertical>
              <Link to={linkTo(base)}>{nameOf(base)}</Link>
              <Code>{base.id}</Code>
              <span>
                <ShutdownTag base={base} />
              </span>
            </Flex>
          ),
        },
        { key: "capabilities", title: t("facts.capabilities"), render: (_, base) => <Capabilities base={base} /> },
        {
          key: "parameters",
          title: t("facts.parameters"),
          align: "right",
          sorter: (a, b) => a.parameters - b.parameters,
          render: (_, base) => <Parameters base={base} />,
        },
        {
          key: "context",
          title: t("facts.context"),
          align: "right",
          sorter: (a, b) => a.context_tokens - b.context_tokens,
          render: (_, base) => <Tokens base={base} />,
        },
        { key: "licence", title: t("facts.licence"), render: (_, base) => <Licence base={base} /> },
        { key: "source", title: t("facts.source"), render: (_, base) => <Origin base={base} /> },
        { key: "price", title: t("facts.price"), render: (_, base) => <PriceText base={base} /> },
        { key: "fit", title: t("facts.fit"), render: (_, base) => <FitTags base={base} /> },
      ]}
    />
  );
}

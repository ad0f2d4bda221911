/** All base models, as cards or as a list. They are few: the API answers them in one page. */
import { AppstoreOutlined, PlusOutlined, UnorderedListOutlined } from "@ant-design/icons";
import { Button, Flex, Input, Segmented, Select } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { useMay } from "../../app";
import { EmptyState, Loaded, PageHeader } from "../../ui";
import { Card } from "./Card";
import { List } from "./List";
import { CAPABILITIES, matches, type BaseModel, type Capability, type Filter } from "./model";
import { useBaseModels } from "./use";

const LOOK = "plinth.models.look";
type Look = "cards" | "list";

export function Catalogue() {
  const { t } = useTranslation("models");
  const may = useMay();
  const navigate = useNavigate();
  const query = useBaseModels();
  const add = may("catalog:write") && (
    <Button type="primary" icon={<PlusOutlined />} onClick={() => void navigate("/models/add")}>
      {t("add.action")}
    </Button>
  );
  return (
    <>
      <PageHeader title={t("title")} intro={t("intro")} actions={add} />
      <Loaded query={query} rows={8}>
        {(models) => <Browser models={models} />}
      </Loaded>
    </>
  );
}

function Browser({ models }: { models: BaseModel[] }) {
  const { t } = useTranslation("models");
  const [look, setLook] = useState<Look>(() => (localStorage.getItem(LOOK) === "list" ? "list" : "cards"));
  const [filter, setFilter] = useState<Filter>({ text: "", capability: null });
  const choose = (next: Look) => {
    localStorage.setItem(LOOK, next);
    setLook(next);
  };
  const found = models.filter((base) => matches(base, filter));
  return (
    <>
      <Flex gap={12} wrap className="models-bar" role="search" aria-label={t("search.title")}>
        <Input.Search
          aria-label={t("search.text")}
          placeholder={t("search.hint")}
          allowClear
          className="models-search"
          value={filter.text}
          onChange={(event) => setFilter({ ...filter, text: event.target.value })}
        />
        <Select
          aria-label={t("search.capability")}
          placeholder={t("search.anyCapability")}
          allowClear
          className="filter"
          value={filter.capability}
          onChange={(capability: Capability | undefined) => setFilter({ ...filter, capability: capability ?? null })}
          options={CAPABILITIES.map((value) => ({ value, label: t(`capabilities.${value}`) }))}
        />
        <Segmented<Look>
          aria-label={t("look.title")}
          value={look}
          onChange={choose}
          options={[
            { value: "cards", label: t("look.cards"), icon: <AppstoreOutlined /> },
            { value: "list", label: t("look.list"), icon: <UnorderedListOutlined /> },
          ]}
        />
        <span className="quiet" role="status">
          {t("search.found", { count: found.length, total: models.length })}
        </span>
      </Flex>
      {found.length === 0 && (
        <EmptyState
          title={t("search.none")}
          next={t("search.noneNext")}
          action={<Button onClick={() => setFilter({ text: "", capability: null })}>{t("search.clear")}</Button>}
        />
      )}
      {found.length > 0 && look === "list" && <List models={found} />}
      {found.length > 0 && look === "cards" && (
        <ul className="plain cards" aria-label={t("title")}>
          {found.map((base) => (
            <li key={base.id}>
              <Card base={base} />
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

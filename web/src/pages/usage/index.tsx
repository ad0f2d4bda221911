/** Usage and cost: what was used, what it cost, what is left. */
import { Alert, Tabs } from "antd";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";
import { useMay } from "../../app";
import { PageHeader } from "../../ui";
import { Budgets } from "./Budgets";
import { Controls } from "./Controls";
import en from "./en.json";
import { Report } from "./Report";
import "./styles.css";
import { useView } from "./view";
import zh from "./zh.json";

export const texts = { en, zh };

export default function UsagePage() {
  const { t } = useTranslation("usage");
  const [view, change] = useView();
  const [query, setQuery] = useSearchParams();
  const may = useMay()("usage:read", "organization:read");
  const open = (tab: string) =>
    setQuery(
      (before) => {
        before.set("tab", tab);
        return before;
      },
      { replace: true },
    );
  return (
    <>
      <PageHeader title={t("title")} intro={t(view.mayChoose ? "intro" : "introProject")} help="docs/costs" />
      {!may ? (
        <Alert type="info" showIcon title={t("mayNot")} />
      ) : (
        <>
          <Controls view={view} onChange={change} onlyLevel={query.get("tab") === "budgets"} />
          <Tabs
            activeKey={query.get("tab") === "budgets" ? "budgets" : "report"}
            onChange={open}
            destroyOnHidden
            items={[
              { key: "report", label: t("tabs.report"), children: <Report view={view} /> },
              { key: "budgets", label: t("tabs.budgets"), children: <Budgets view={view} /> },
            ]}
          />
        </>
      )}
    </>
  );
}

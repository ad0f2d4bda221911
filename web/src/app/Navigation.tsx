/** The registry as a menu. What a person may not read is left out, as a courtesy. */
import { Layout, Menu } from "antd";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link, useLocation, useNavigate } from "react-router";
import type { Language } from "../api";
import { GROUPS, pages, type Page } from "../pages/registry";
import { icons } from "../ui/icons";
import { useMay } from "./session";

export function useVisiblePages(): readonly Page[] {
  const may = useMay();
  return useMemo(() => pages.filter((page) => !page.needs || may(...page.needs)), [may]);
}

/** The page that an address belongs to: the longest path that it begins with. */
export function pageAt(pathname: string): Page | undefined {
  const path = pathname.replace(/^\//, "");
  const fits = (page: Page) => path === page.path || (page.path !== "" && path.startsWith(`${page.path}/`));
  return pages.filter(fits).sort((a, b) => b.path.length - a.path.length)[0];
}

export function Navigation({ collapsed, onCollapse }: { collapsed: boolean; onCollapse: (next: boolean) => void }) {
  const { t, i18n } = useTranslation();
  const visible = useVisiblePages();
  const { pathname } = useLocation();
  const navigate = useNavigate();
  const language = i18n.language as Language;
  const items = useMemo(
    () =>
      GROUPS.map((group) => ({ group, inside: visible.filter((page) => page.group === group) }))
        .filter(({ inside }) => inside.length > 0)
        .map(({ group, inside }) => ({
          key: group,
          type: "group" as const,
          label: collapsed ? "" : t(`groups.${group}`),
          children: inside.map((page) => ({
            key: page.name,
            icon: icons[page.icon],
            label: <Link to={`/${page.path}`}>{page.title[language]}</Link>,
          })),
        })),
    [visible, collapsed, language, t],
  );
  const here = pageAt(pathname);
  return (
    <Layout.Sider
      className="sider"
      collapsible
      breakpoint="lg"
      collapsed={collapsed}
      onCollapse={onCollapse}
      width={216}
      collapsedWidth={64}
      theme="dark"
      trigger={null}
    >
      <nav aria-label={t("shell.navigation")}>
        <Link to="/" className="brand" aria-label={t("shell.brand")}>
          <span className="brand-mark" aria-hidden="true" />
          {!collapsed && <span>Plinth</span>}
        </Link>
        <Menu
          theme="dark"
          mode="inline"
          items={items}
          selectedKeys={here ? [here.name] : []}
          inlineCollapsed={collapsed}
          onClick={({ key, domEvent }) => {
            // a click follows the link by itself; Enter on the item does not
            const page = pages.find(({ name }) => name === key);
            if (page && domEvent.type === "keydown") void navigate(`/${page.path}`);
          }}
        />
      </nav>
      <button
        type="button"
        className="collapse"
        aria-expanded={!collapsed}
        aria-label={t(collapsed ? "shell.expand" : "shell.collapse")}
        onClick={() => onCollapse(!collapsed)}
      >
        {collapsed ? "»" : "«"}
      </button>
    </Layout.Sider>
  );
}

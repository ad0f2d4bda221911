/** Project, search, jobs, language, theme, and the person. */
import {
  BulbOutlined,
  GlobalOutlined,
  KeyOutlined,
  LogoutOutlined,
  QuestionCircleOutlined,
  SearchOutlined,
  UserOutlined,
} from "@ant-design/icons";
import { Button, Dropdown, Flex, Layout, Select, type MenuProps } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { sessionApi, type Language } from "../api";
import { chooseLanguage } from "../i18n";
import { useNotify } from "../ui";
import type { ThemeChoice } from "../ui/theme";
import { AccountDialog } from "./AccountDialog";
import { JobTray } from "./jobs/JobTray";
import { openPalette, openShortcuts } from "./overlays";
import { useSessionContext, useSignedIn } from "./session";
import { useTheme } from "./settings";

export function TopBar() {
  const { t } = useTranslation();
  return (
    <Layout.Header className="top-bar">
      <ProjectSwitcher />
      <Flex gap={4} align="center">
        <Button icon={<SearchOutlined />} onClick={openPalette} aria-keyshortcuts="Control+K">
          <span className="wide-only">{t("palette.open")} </span>
          <kbd className="wide-only">Ctrl K</kbd>
        </Button>
        <JobTray />
        <Button
          type="text"
          icon={<QuestionCircleOutlined />}
          aria-label={t("shortcuts.title")}
          title={t("shortcuts.title")}
          onClick={openShortcuts}
        />
        <LanguageSwitch />
        <ThemeSwitch />
        <PersonMenu />
      </Flex>
    </Layout.Header>
  );
}

function ProjectSwitcher() {
  const { t } = useTranslation();
  const { project, chooseProject } = useSessionContext();
  const { projects, organization } = useSignedIn();
  if (!project) return <span className="quiet">{t("shell.noProject", { organization: organization.name })}</span>;
  return (
    <Select
      aria-label={t("shell.project")}
      className="project-switcher"
      value={project.id}
      onChange={chooseProject}
      showSearch={{ optionFilterProp: "label" }}
      options={projects.map((item) => ({ value: item.id, label: item.name }))}
      popupMatchSelectWidth={false}
    />
  );
}

/** For the pages before sign-in too; a signed-in person's choice is kept with the account. */
export function LanguageSwitch() {
  const { t, i18n } = useTranslation();
  const { session } = useSessionContext();
  const notify = useNotify();
  const choose = async (language: Language) => {
    await chooseLanguage(language);
    if (!session.signed_in) return;
    try {
      await sessionApi.changeUser({ language });
    } catch (error) {
      notify.failure(error);
    }
  };
  const other: Language = i18n.language === "zh" ? "en" : "zh";
  return (
    <Button type="text" icon={<GlobalOutlined />} lang={other} onClick={() => choose(other)} title={t("shell.language")}>
      {other === "zh" ? "中文" : "English"}
    </Button>
  );
}

const THEMES: ThemeChoice[] = ["light", "dark", "system"];

export function ThemeSwitch() {
  const { t } = useTranslation();
  const { choice, choose } = useTheme();
  const items = THEMES.map((key) => ({ key, label: t(`themes.${key}`) }));
  return (
    <Dropdown
      trigger={["click"]}
      menu={{ items, selectable: true, selectedKeys: [choice], onClick: ({ key }) => choose(key as ThemeChoice) }}
    >
      <Button type="text" icon={<BulbOutlined />} aria-label={t("themes.title")} title={t("themes.title")} />
    </Dropdown>
  );
}

function PersonMenu() {
  const { t } = useTranslation();
  const { user } = useSignedIn();
  const [account, setAccount] = useState(false);
  const notify = useNotify();
  const leave = async () => {
    try {
      await sessionApi.signOut();
      window.location.assign("/console/signin"); // a fresh page: nothing that was read stays in memory
    } catch (error) {
      notify.failure(error);
    }
  };
  const items: MenuProps["items"] = [
    { key: "who", type: "group", label: `${user.name} · ${user.email}` },
    { key: "account", icon: <KeyOutlined />, label: t("account.title"), onClick: () => setAccount(true) },
    { key: "leave", icon: <LogoutOutlined />, label: t("account.signOut"), onClick: () => void leave() },
  ];
  return (
    <>
      <Dropdown trigger={["click"]} menu={{ items }}>
        <Button type="text" icon={<UserOutlined />} aria-label={t("account.menu", { name: user.name })}>
          <span className="wide-only">{user.name}</span>
        </Button>
      </Dropdown>
      <AccountDialog open={account} onClose={() => setAccount(false)} />
    </>
  );
}

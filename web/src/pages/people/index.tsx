/** Who and what may use the platform: keys, service accounts, people, invitations, projects, roles. */
import { Tabs } from "antd";
import { useTranslation } from "react-i18next";
import { useNavigate, useParams } from "react-router";
import { useMay } from "../../app";
import { PageHeader } from "../../ui";
import { AdminKeys } from "./adminKeys";
import { ServiceAccounts } from "./accounts";
import en from "./en.json";
import { Invites } from "./invites";
import { ProjectKeys } from "./keys";
import { Members } from "./members";
import { Projects } from "./projects";
import { Roles } from "./roles";
import { Users } from "./users";
import zh from "./zh.json";

export const texts = { en, zh };

export default function PeoplePage() {
  const { t } = useTranslation("people");
  const may = useMay();
  const navigate = useNavigate();
  const part = useParams()["*"] ?? "";
  const inOrganization = may("organization:read");
  const tabs = [
    { key: "keys", children: <ProjectKeys /> },
    ...(inOrganization
      ? [
          { key: "accounts", children: <ServiceAccounts /> },
          { key: "members", children: <Members /> },
          { key: "users", children: <Users /> },
          { key: "invites", children: <Invites /> },
          { key: "projects", children: <Projects /> },
          { key: "admin-keys", children: <AdminKeys /> },
          { key: "roles", children: <Roles /> },
        ]
      : []),
  ];
  const active = tabs.some((tab) => tab.key === part) ? part : "keys";
  return (
    <>
      <PageHeader title={t("title")} intro={t("intro")} />
      <Tabs
        activeKey={active}
        onChange={(key) => void navigate(`/people/${key}`)}
        destroyOnHidden
        items={tabs.map((tab) => ({ ...tab, label: t(`tabs.${tab.key}`) }))}
      />
    </>
  );
}

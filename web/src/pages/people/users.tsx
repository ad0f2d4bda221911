/** Everybody in the organization, with their role in it. */
import { useQueryClient } from "@tanstack/react-query";
import { Button, Flex, Modal, Select, Tag } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, sessionApi, type Wire } from "../../api";
import { useMay, useSignedIn } from "../../app";
import { ConfirmDanger, EmptyState, ServerTable, Time, useNotify } from "../../ui";
import { SecretOnce, canonicalRole, useRoleName, useRoleOptions } from "./shared";

type User = Wire<"UserWire">;

const KEY = ["users"];

export function Users() {
  const { t } = useTranslation("people");
  const may = useMay();
  const me = useSignedIn().user;
  const client = useQueryClient();
  const nameOf = useRoleName();
  const [link, setLink] = useState<string | null>(null);
  const mayWrite = may("organization:write");
  return (
    <>
      <p>{t("users.intro")}</p>
      <ServerTable<User>
        label={t("tabs.users")}
        queryKey={KEY}
        fetchPage={({ signal, ...query }) => api.get("/v1/organization/users", { query, signal })}
        rowKey={(user) => user.id}
        empty={<EmptyState title={t("users.none")} />}
        columns={[
          {
            key: "name",
            title: t("personName"),
            render: (user) => (
              <>
                {user.name} {user.id === me.id && <Tag color="blue">{t("users.you")}</Tag>}
              </>
            ),
          },
          { key: "email", title: t("email"), render: (user) => user.email },
          {
            key: "role",
            title: t("users.organizationRole"),
            render: (user) => (mayWrite ? <UserRole user={user} /> : nameOf(user.role)),
          },
          {
            key: "projects",
            title: t("tabs.projects"),
            render: (user) =>
              user.projects.data.map((project) => (
                <Tag key={project.id}>
                  {project.name} · {nameOf(project.role)}
                </Tag>
              )),
          },
          { key: "added", title: t("added"), render: (user) => <Time at={user.added_at} /> },
          {
            key: "actions",
            title: <span className="unseen">{t("actions")}</span>,
            align: "right",
            render: (user) =>
              mayWrite && (
                <Flex gap={8} justify="end">
                  <ResetPassword user={user} onLink={setLink} />
                  <ConfirmDanger
                    size="small"
                    action={t("users.remove")}
                    title={t("users.removeTitle", { name: user.name })}
                    touches={[t("users.removeTouches", { name: user.name }), t("users.removeKeys")]}
                    typeToConfirm={user.email}
                    onConfirm={async () => {
                      await api.delete("/v1/organization/users/{user_id}", { path: { user_id: user.id } });
                      await client.invalidateQueries({ queryKey: KEY });
                    }}
                  />
                </Flex>
              ),
          },
        ]}
      />
      <Modal open={link !== null} title={t("users.resetLink")} footer={null} closable={false} destroyOnHidden>
        <SecretOnce secret={link ?? ""} hint={t("users.resetHint")} onKept={() => setLink(null)} />
      </Modal>
    </>
  );
}

function UserRole({ user }: { user: User }) {
  const { t } = useTranslation("people");
  const client = useQueryClient();
  const notify = useNotify();
  const change = async (role: string) => {
    try {
      await api.post("/v1/organization/users/{user_id}", { path: { user_id: user.id }, body: { role } });
    } catch (error) {
      notify.failure(error);
    }
    await client.invalidateQueries({ queryKey: KEY });
  };
  return (
    <Select
      size="small"
      className="role-select"
      aria-label={t("roleOf", { name: user.name })}
      value={canonicalRole(user.role)}
      options={useRoleOptions()}
      onChange={change}
    />
  );
}

function ResetPassword({ user, onLink }: { user: User; onLink: (link: string) => void }) {
  const { t } = useTranslation("people");
  const notify = useNotify();
  const reset = async () => {
    try {
      const { token } = await sessionApi.passwordResetFor(user.id);
      onLink(`${window.location.origin}/console/reset#${token}`);
    } catch (error) {
      notify.failure(error);
    }
  };
  return (
    <Button size="small" onClick={reset} aria-label={t("users.resetOf", { name: user.name })}>
      {t("users.reset")}
    </Button>
  );
}

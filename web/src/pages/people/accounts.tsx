/** Service accounts of the chosen project: keys for programs, with a role of their own. */
import { PlusOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { Button, Flex, Modal, Select } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, type Wire } from "../../api";
import { useMay, useProject } from "../../app";
import { ApiForm, ConfirmDanger, EmptyState, ServerTable, Time, useNotify, type Column } from "../../ui";
import { Dialog, NameField, RoleField, SecretOnce, canonicalRole, useRoleName, useRoleOptions } from "./shared";

type Account = Wire<"ServiceAccountWire">;

const KEY = ["service-accounts"];
const PATH = "/v1/organization/projects/{project_id}/service_accounts";

export function ServiceAccounts() {
  const { t } = useTranslation("people");
  const project = useProject();
  const may = useMay();
  const client = useQueryClient();
  const [secret, setSecret] = useState<string | null>(null);
  const nameOf = useRoleName();
  if (!project) return <EmptyState title={t("noProject")} next={t("noProjectNext")} />;
  const mayWrite = may("organization:write");
  const changed = () => client.invalidateQueries({ queryKey: KEY });
  const columns: Column<Account>[] = [
    { key: "name", title: t("name"), render: (account) => account.name },
    {
      key: "role",
      title: t("role"),
      render: (account) =>
        mayWrite ? <AccountRole account={account} projectId={project.id} /> : nameOf(account.role),
    },
    { key: "created", title: t("created"), render: (account) => <Time at={account.created_at} /> },
    {
      key: "actions",
      title: <span className="unseen">{t("actions")}</span>,
      align: "right",
      render: (account) =>
        mayWrite && (
          <Flex gap={8} justify="end">
            <NewKey account={account} projectId={project.id} onSecret={setSecret} />
            <ConfirmDanger
              size="small"
              action={t("accounts.delete")}
              title={t("accounts.deleteTitle", { name: account.name })}
              touches={[t("accounts.deleteTouches", { name: account.name }), t("accounts.deleteKeys")]}
              onConfirm={async () => {
                await api.delete(`${PATH}/{account_id}`, { path: { project_id: project.id, account_id: account.id } });
                await changed();
              }}
            />
          </Flex>
        ),
    },
  ];
  return (
    <>
      <Flex justify="space-between" align="center" className="page-header" gap={16}>
        <span>{t("accounts.intro", { project: project.name })}</span>
        {mayWrite && (
          <Dialog
            title={t("accounts.create")}
            button={(open) => (
              <Button type="primary" icon={<PlusOutlined />} onClick={open}>
                {t("accounts.create")}
              </Button>
            )}
          >
            {(close) => (
              <ApiForm<{ name: string; role: string }>
                submit={t("create")}
                initial={{ role: "developer" }}
                onCancel={close}
                onSubmit={async ({ name, role }) => {
                  const created = await api.post(PATH, { path: { project_id: project.id }, body: { name } });
                  close();
                  setSecret(created.api_key?.value ?? null);
                  const path = { project_id: project.id, account_id: created.id };
                  if (canonicalRole(created.role) !== role) await api.post(`${PATH}/{account_id}`, { path, body: { role } });
                  await changed();
                }}
              >
                <NameField />
                <RoleField />
              </ApiForm>
            )}
          </Dialog>
        )}
      </Flex>
      <ServerTable<Account>
        label={t("tabs.accounts")}
        queryKey={KEY}
        fetchPage={({ signal, ...query }) => api.get(PATH, { path: { project_id: project.id }, query, signal })}
        rowKey={(account) => account.id}
        columns={columns}
        empty={<EmptyState title={t("accounts.none")} next={t("accounts.noneNext")} />}
      />
      <Modal open={secret !== null} title={t("keys.created")} footer={null} closable={false} destroyOnHidden>
        <SecretOnce secret={secret ?? ""} hint={t("keys.once")} onKept={() => setSecret(null)} />
      </Modal>
    </>
  );
}

function AccountRole({ account, projectId }: { account: Account; projectId: string }) {
  const { t } = useTranslation("people");
  const client = useQueryClient();
  const notify = useNotify();
  const change = async (role: string) => {
    const path = { project_id: projectId, account_id: account.id };
    try {
      await api.post(`${PATH}/{account_id}`, { path, body: { role } });
    } catch (error) {
      notify.failure(error);
    }
    await client.invalidateQueries({ queryKey: KEY });
  };
  return (
    <Select
      size="small"
      className="role-select"
      aria-label={t("roleOf", { name: account.name })}
      value={canonicalRole(account.role)}
      options={useRoleOptions()}
      onChange={change}
    />
  );
}

function NewKey({ account, projectId, onSecret }: { account: Account; projectId: string; onSecret: (s: string) => void }) {
  const { t } = useTranslation("people");
  const notify = useNotify();
  const create = async () => {
    try {
      const path = { project_id: projectId, account_id: account.id };
      const issued = await api.post(`${PATH}/{account_id}/api_keys`, { path, body: { name: account.name } });
      onSecret(issued.value);
    } catch (error) {
      notify.failure(error);
    }
  };
  return (
    <Button size="small" onClick={create}>
      {t("accounts.newKey")}
    </Button>
  );
}

/** Invitations: a link that lets one person join, with the roles that it promises. */
import { PlusOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { Button, Flex, Form, Input, Modal, Select, Tag } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, type Wire } from "../../api";
import { useMay, useSignedIn } from "../../app";
import { ApiForm, ConfirmDanger, EmptyState, ServerTable, Time } from "../../ui";
import { RoleField, SecretOnce, useRoleName, useRoleOptions } from "./shared";

type Invite = Wire<"InviteWire">;
interface Draft {
  email: string;
  role: string;
  projects?: string[];
  projectRole?: string;
}

const KEY = ["invites"];
const COLOURS: Record<string, string> = { pending: "blue", accepted: "green" };

export function Invites() {
  const { t } = useTranslation("people");
  const may = useMay();
  const client = useQueryClient();
  const nameOf = useRoleName();
  const [link, setLink] = useState<string | null>(null);
  const mayWrite = may("organization:write");
  const changed = () => client.invalidateQueries({ queryKey: KEY });
  const create = mayWrite && <CreateInvite onLink={setLink} onCreated={changed} />;
  return (
    <>
      <Flex justify="space-between" align="center" className="page-header" gap={16}>
        <span>{t("invites.intro")}</span>
        {create}
      </Flex>
      <ServerTable<Invite>
        label={t("tabs.invites")}
        queryKey={KEY}
        fetchPage={({ signal, ...query }) =>
          api.get("/v1/organization/invites", { query: { ...query, order: "desc" }, signal })
        }
        rowKey={(invite) => invite.id}
        empty={<EmptyState title={t("invites.none")} next={t("invites.noneNext")} />}
        columns={[
          { key: "email", title: t("email"), render: (invite) => invite.email },
          { key: "role", title: t("users.organizationRole"), render: (invite) => nameOf(invite.role) },
          {
            key: "status",
            title: t("status"),
            render: (invite) => <Tag {...tagColour(invite.status)}>{t(`invites.statuses.${invite.status}`)}</Tag>,
          },
          { key: "expires", title: t("expires"), render: (invite) => <Time at={invite.expires_at} /> },
          {
            key: "actions",
            title: <span className="unseen">{t("actions")}</span>,
            align: "right",
            render: (invite) =>
              mayWrite &&
              invite.status !== "accepted" && (
                <ConfirmDanger
                  size="small"
                  action={t("invites.withdraw")}
                  title={t("invites.withdrawTitle", { email: invite.email })}
                  touches={[t("invites.withdrawTouches", { email: invite.email })]}
                  onConfirm={async () => {
                    await api.delete("/v1/organization/invites/{invite_id}", { path: { invite_id: invite.id } });
                    await changed();
                  }}
                />
              ),
          },
        ]}
      />
      <Modal open={link !== null} title={t("invites.link")} footer={null} closable={false} destroyOnHidden>
        <SecretOnce secret={link ?? ""} hint={t("invites.linkHint")} onKept={() => setLink(null)} />
      </Modal>
    </>
  );
}

function tagColour(status: string): { color?: string } {
  const color = COLOURS[status];
  return color ? { color } : {};
}

function CreateInvite({ onLink, onCreated }: { onLink: (link: string) => void; onCreated: () => Promise<unknown> }) {
  const { t } = useTranslation("people");
  const [open, setOpen] = useState(false);
  const { projects } = useSignedIn();
  const roleOptions = useRoleOptions();
  const submit = async (draft: Draft) => {
    const grants = (draft.projects ?? []).map((id) => ({ id, role: draft.projectRole ?? "viewer" }));
    const body = { email: draft.email, role: draft.role, projects: grants };
    const issued = await api.post("/v1/organization/invites", { body });
    setOpen(false);
    onLink(`${window.location.origin}/console/invite#${issued.token}`);
    await onCreated();
  };
  return (
    <>
      <Button type="primary" icon={<PlusOutlined />} onClick={() => setOpen(true)}>
        {t("invites.create")}
      </Button>
      <Modal open={open} title={t("invites.create")} footer={null} onCancel={() => setOpen(false)} destroyOnHidden>
        <ApiForm<Draft>
          submit={t("invites.create")}
          initial={{ role: "viewer", projectRole: "developer", projects: projects.slice(0, 1).map(({ id }) => id) }}
          onCancel={() => setOpen(false)}
          onSubmit={submit}
        >
          <Form.Item name="email" label={t("email")} rules={[{ required: true, message: t("missing.email") }]}>
            <Input type="email" autoFocus autoComplete="off" />
          </Form.Item>
          <RoleField label={t("users.organizationRole")} />
          <Form.Item name="projects" label={t("invites.projects")} extra={t("invites.projectsHint")}>
            <Select mode="multiple" options={projects.map(({ id, name }) => ({ value: id, label: name }))} />
          </Form.Item>
          <Form.Item name="projectRole" label={t("invites.projectRole")}>
            <Select options={roleOptions} />
          </Form.Item>
        </ApiForm>
      </Modal>
    </>
  );
}

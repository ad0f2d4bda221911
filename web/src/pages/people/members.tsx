/** The people of the chosen project and their roles in it. */
import { PlusOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { Button, Flex, Form, Input, Select } from "antd";
import { useTranslation } from "react-i18next";
import { api, type Wire } from "../../api";
import { useMay, useProject } from "../../app";
import { ApiForm, ConfirmDanger, EmptyState, ServerTable, Time, useNotify } from "../../ui";
import { Dialog, RoleField, canonicalRole, useRoleName, useRoleOptions } from "./shared";

type Member = Wire<"MemberWire">;

const KEY = ["members"];
const PATH = "/v1/organization/projects/{project_id}/users";

export function Members() {
  const { t } = useTranslation("people");
  const project = useProject();
  const may = useMay();
  const client = useQueryClient();
  const nameOf = useRoleName();
  if (!project) return <EmptyState title={t("noProject")} next={t("noProjectNext")} />;
  const mayWrite = may("organization:write");
  const changed = () => client.invalidateQueries({ queryKey: KEY });
  return (
    <>
      <Flex justify="space-between" align="center" className="page-header" gap={16}>
        <span>{t("members.intro", { project: project.name })}</span>
        {mayWrite && (
          <Dialog
            title={t("members.add")}
            button={(open) => (
              <Button type="primary" icon={<PlusOutlined />} onClick={open}>
                {t("members.add")}
              </Button>
            )}
          >
            {(close) => (
              <ApiForm<{ email: string; role: string }>
                submit={t("members.add")}
                initial={{ role: "developer" }}
                names={{ user_id: "email" }}
                onCancel={close}
                onSubmit={async (body) => {
                  await api.post(PATH, { path: { project_id: project.id }, body });
                  close();
                  await changed();
                }}
              >
                <Form.Item
                  name="email"
                  label={t("email")}
                  extra={t("members.emailHint")}
                  rules={[{ required: true, message: t("missing.email") }]}
                >
                  <Input type="email" autoFocus autoComplete="off" />
                </Form.Item>
                <RoleField />
              </ApiForm>
            )}
          </Dialog>
        )}
      </Flex>
      <ServerTable<Member>
        label={t("tabs.members")}
        queryKey={KEY}
        fetchPage={({ signal, ...query }) => api.get(PATH, { path: { project_id: project.id }, query, signal })}
        rowKey={(member) => member.id}
        empty={<EmptyState title={t("members.none")} next={t("members.noneNext")} />}
        columns={[
          { key: "name", title: t("personName"), render: (member) => member.name },
          { key: "email", title: t("email"), render: (member) => member.email },
          {
            key: "role",
            title: t("role"),
            render: (member) =>
              mayWrite ? <MemberRole member={member} projectId={project.id} /> : nameOf(member.role),
          },
          { key: "added", title: t("added"), render: (member) => <Time at={member.added_at} /> },
          {
            key: "actions",
            title: <span className="unseen">{t("actions")}</span>,
            align: "right",
            render: (member) =>
              mayWrite && (
                <ConfirmDanger
                  size="small"
                  action={t("members.remove")}
                  title={t("members.removeTitle", { name: member.name, project: project.name })}
                  touches={[t("members.removeTouches", { name: member.name })]}
                  onConfirm={async () => {
                    const path = { project_id: project.id, user_id: member.id };
                    await api.delete(`${PATH}/{user_id}`, { path });
                    await changed();
                  }}
                />
              ),
          },
        ]}
      />
    </>
  );
}

function MemberRole({ member, projectId }: { member: Member; projectId: string }) {
  const { t } = useTranslation("people");
  const client = useQueryClient();
  const notify = useNotify();
  const change = async (role: string) => {
    try {
      await api.post(`${PATH}/{user_id}`, { path: { project_id: projectId, user_id: member.id }, body: { role } });
    } catch (error) {
      notify.failure(error);
    }
    await client.invalidateQueries({ queryKey: KEY });
  };
  return (
    <Select
      size="small"
      className="role-select"
      aria-label={t("roleOf", { name: member.name })}
      value={canonicalRole(member.role)}
      options={useRoleOptions()}
      onChange={change}
    />
  );
}

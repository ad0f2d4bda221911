/** One's own name, password and sessions. */
import { Flex, Form, Input, Modal, Tabs, Tag } from "antd";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { sessionApi } from "../api";
import { ApiForm, ConfirmDanger, Loaded, Time, useNotify } from "../ui";
import { useSessionContext, useSignedIn } from "./session";

export function AccountDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  const items = [
    { key: "name", label: t("account.name"), children: <NameForm onDone={onClose} /> },
    { key: "password", label: t("account.password"), children: <PasswordForm onDone={onClose} /> },
    { key: "sessions", label: t("account.sessions"), children: <Sessions /> },
  ];
  return (
    <Modal open={open} title={t("account.title")} footer={null} onCancel={onClose} destroyOnHidden>
      <Tabs items={items} />
    </Modal>
  );
}

function NameForm({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation();
  const { user } = useSignedIn();
  const { accept } = useSessionContext();
  const notify = useNotify();
  return (
    <ApiForm<{ name: string }>
      submit={t("ui.save")}
      initial={{ name: user.name }}
      onSubmit={async (values) => {
        accept(await sessionApi.changeUser(values));
        notify.success(t("ui.saved"));
        onDone();
      }}
    >
      <Form.Item name="name" label={t("account.name")} rules={[{ required: true, message: t("account.nameMissing") }]}>
        <Input autoComplete="name" />
      </Form.Item>
    </ApiForm>
  );
}

function PasswordForm({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation();
  const notify = useNotify();
  return (
    <ApiForm<{ current: string; new: string }>
      submit={t("account.changePassword")}
      onSubmit={async (values) => {
        await sessionApi.changePassword(values);
        notify.success(t("account.passwordChanged"), t("account.othersEnded"));
        onDone();
      }}
    >
      <Form.Item name="current" label={t("account.currentPassword")} rules={[{ required: true, message: t("account.currentMissing") }]}>
        <Input.Password autoComplete="current-password" />
      </Form.Item>
      <NewPassword name="new" />
    </ApiForm>
  );
}

/** The field of every form that sets a password. */
export function NewPassword({ name = "password" }: { name?: string }) {
  const { t } = useTranslation();
  return (
    <Form.Item
      name={name}
      label={t("account.newPassword")}
      extra={t("account.passwordRule")}
      rules={[
        { required: true, message: t("account.passwordRule") },
        { min: 10, message: t("account.passwordRule") },
      ]}
    >
      <Input.Password autoComplete="new-password" />
    </Form.Item>
  );
}

function Sessions() {
  const { t } = useTranslation();
  const client = useQueryClient();
  const query = useQuery({ queryKey: ["own-sessions"], queryFn: sessionApi.ownSessions });
  const end = async (id: string) => {
    await sessionApi.endSession(id);
    await client.invalidateQueries({ queryKey: ["own-sessions"] });
  };
  return (
    <Loaded query={query}>
      {({ data }) => (
        <ul className="plain">
          {data.map((item) => (
            <li key={item.id}>
              <Flex justify="space-between" align="center" gap={8} className="row">
                <span>
                  <strong>{item.device || item.id}</strong>
                  <span className="quiet">
                    {" "}
                    {t("account.lastSeen")} <Time at={item.last_seen_at} />
                  </span>
                </span>
                {item.current ? (
                  <Tag>{t("account.thisSession")}</Tag>
                ) : (
                  <ConfirmDanger
                    size="small"
                    action={t("account.endSession")}
                    title={t("account.endSessionTitle")}
                    touches={[t("account.endSessionTouches")]}
                    onConfirm={() => end(item.id)}
                  />
                )}
              </Flex>
            </li>
          ))}
        </ul>
      )}
    </Loaded>
  );
}

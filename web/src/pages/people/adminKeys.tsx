/** Keys that administer the organization. */
import { PlusOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { Button, Flex, Modal } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, type Wire } from "../../api";
import { ApiForm, Code, ConfirmDanger, EmptyState, ServerTable, Time } from "../../ui";
import { Expiry } from "./keys";
import { Dialog, LifetimeField, NameField, SecretOnce, lifetime } from "./shared";

const KEY = ["admin-keys"];

export function AdminKeys() {
  const { t } = useTranslation("people");
  const client = useQueryClient();
  const [secret, setSecret] = useState<string | null>(null);
  const changed = () => client.invalidateQueries({ queryKey: KEY });
  return (
    <>
      <Flex justify="space-between" align="center" className="page-header" gap={16}>
        <span>{t("adminKeys.intro")}</span>
        <Dialog
          title={t("adminKeys.create")}
          button={(open) => (
            <Button type="primary" icon={<PlusOutlined />} onClick={open}>
              {t("adminKeys.create")}
            </Button>
          )}
        >
          {(close) => (
            <ApiForm<{ name: string; days: number }>
              submit={t("create")}
              names={{ expires_in_seconds: "days" }}
              onCancel={close}
              onSubmit={async ({ name, days }) => {
                const body = { name, ...lifetime(days) };
                const issued = await api.post("/v1/organization/admin_api_keys", { body });
                close();
                setSecret(issued.value);
              }}
            >
              <NameField />
              <LifetimeField />
            </ApiForm>
          )}
        </Dialog>
      </Flex>
      <ServerTable<Wire<"AdminKeyWire">>
        label={t("tabs.admin-keys")}
        queryKey={KEY}
        fetchPage={({ signal, ...query }) =>
          api.get("/v1/organization/admin_api_keys", { query: { ...query, order: "desc" }, signal })
        }
        rowKey={(key) => key.id}
        empty={<EmptyState title={t("adminKeys.none")} next={t("adminKeys.noneNext")} />}
        columns={[
          { key: "name", title: t("name"), render: (key) => key.name },
          { key: "value", title: t("keys.value"), render: (key) => <Code>{key.redacted_value}</Code> },
          { key: "owner", title: t("keys.owner"), render: (key) => key.owner.name },
          { key: "used", title: t("lastUsed"), render: (key) => <Time at={key.last_used_at} /> },
          { key: "expires", title: t("expires"), render: (key) => <Expiry at={key.expires_at} /> },
          {
            key: "actions",
            title: <span className="unseen">{t("actions")}</span>,
            align: "right",
            render: (key) => (
              <ConfirmDanger
                size="small"
                action={t("keys.delete")}
                title={t("keys.deleteTitle", { name: key.name })}
                touches={[t("adminKeys.deleteTouches", { name: key.name })]}
                onConfirm={async () => {
                  await api.delete("/v1/organization/admin_api_keys/{key_id}", { path: { key_id: key.id } });
                  await changed();
                }}
              />
            ),
          },
        ]}
      />
      <Modal open={secret !== null} title={t("keys.created")} footer={null} closable={false} destroyOnHidden>
        <SecretOnce
          secret={secret ?? ""}
          hint={t("keys.once")}
          onKept={() => {
            setSecret(null);
            void changed();
          }}
        />
      </Modal>
    </>
  );
}

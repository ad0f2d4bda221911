/** The chosen project's API keys. */
import { PlusOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { Button, Flex, Modal, Tag } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, type Wire } from "../../api";
import { useMay, useProject } from "../../app";
import { ApiForm, Code, ConfirmDanger, EmptyState, ServerTable, Time, useNotify, type Column } from "../../ui";
import { LifetimeField, NameField, SecretOnce, lifetime } from "./shared";

type Key = Wire<"ProjectKeyWire">;

const KEY = ["project-keys"];

export function ProjectKeys() {
  const { t } = useTranslation("people");
  const project = useProject();
  const may = useMay();
  const client = useQueryClient();
  const [secret, setSecret] = useState<string | null>(null);
  if (!project) return <EmptyState title={t("noProject")} next={t("noProjectNext")} />;
  const path = { project_id: project.id };
  const changed = () => client.invalidateQueries({ queryKey: KEY });
  const actions = (key: Key) => (
    <Flex gap={8} justify="end">
      <RotateKey apiKey={key} projectId={project.id} onSecret={setSecret} onChanged={changed} />
      <ConfirmDanger
        size="small"
        action={t("keys.delete")}
        title={t("keys.deleteTitle", { name: key.name })}
        touches={[t("keys.deleteTouches", { name: key.name }), <LastUse key="last" apiKey={key} />]}
        onConfirm={async () => {
          await api.delete("/v1/organization/projects/{project_id}/api_keys/{key_id}", {
            path: { ...path, key_id: key.id },
          });
          await changed();
        }}
      />
    </Flex>
  );
  const columns: Column<Key>[] = [
    { key: "name", title: t("name"), render: (key) => key.name },
    { key: "value", title: t("keys.value"), render: (key) => <Code>{key.redacted_value}</Code> },
    { key: "owner", title: t("keys.owner"), render: (key) => <Owner apiKey={key} /> },
    { key: "used", title: t("lastUsed"), render: (key) => <Time at={key.last_used_at} /> },
    { key: "expires", title: t("expires"), render: (key) => <Expiry at={key.expires_at} /> },
    { key: "actions", title: <span className="unseen">{t("actions")}</span>, align: "right", render: actions },
  ];
  const create = may("project:write", "organization:write") && <CreateKey projectId={project.id} onCreated={setSecret} />;
  return (
    <>
      <Flex justify="space-between" align="center" className="page-header" gap={16}>
        <span>{t("keys.intro", { project: project.name })}</span>
        {create}
      </Flex>
      <ServerTable<Key>
        label={t("tabs.keys")}
        queryKey={KEY}
        fetchPage={({ signal, ...query }) =>
          api.get("/v1/organization/projects/{project_id}/api_keys", { path, query: { ...query, order: "desc" }, signal })
        }
        rowKey={(key) => key.id}
        columns={columns}
        empty={<EmptyState title={t("keys.none")} next={t("keys.noneNext")} />}
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

function CreateKey({ projectId, onCreated }: { projectId: string; onCreated: (secret: string) => void }) {
  const { t } = useTranslation("people");
  const [open, setOpen] = useState(false);
  const submit = async ({ name, days }: { name: string; days: number }) => {
    const issued = await api.post("/api/projects/{project_id}/api_keys", {
      path: { project_id: projectId },
      body: { name, ...lifetime(days) },
    });
    setOpen(false);
    onCreated(issued.value);
  };
  return (
    <>
      <Button type="primary" icon={<PlusOutlined />} onClick={() => setOpen(true)}>
        {t("keys.create")}
      </Button>
      <Modal open={open} title={t("keys.create")} footer={null} onCancel={() => setOpen(false)} destroyOnHidden>
        <ApiForm<{ name: string; days: number }>
          submit={t("create")}
          names={{ expires_in_seconds: "days" }}
          onSubmit={submit}
          onCancel={() => setOpen(false)}
        >
          <NameField />
          <LifetimeField />
        </ApiForm>
      </Modal>
    </>
  );
}

interface RotateProps {
  apiKey: Key;
  projectId: string;
  onSecret: (secret: string) => void;
  onChanged: () => Promise<unknown>;
}

function RotateKey({ apiKey, projectId, onSecret, onChanged }: RotateProps) {
  const { t } = useTranslation("people");
  const notify = useNotify();
  const [pending, setPending] = useState(false);
  const rotate = async () => {
    setPending(true);
    try {
      // the old secret works for another hour, so that clients can be changed without a gap
      const issued = await api.post("/api/projects/{project_id}/api_keys/{key_id}/rotate", {
        path: { project_id: projectId, key_id: apiKey.id },
        body: { grace_seconds: 3600 },
      });
      onSecret(issued.value);
      await onChanged();
    } catch (error) {
      notify.failure(error);
    } finally {
      setPending(false);
    }
  };
  return (
    <Button size="small" loading={pending} onClick={rotate} title={t("keys.rotateHint")}>
      {t("keys.rotate")}
    </Button>
  );
}

function Owner({ apiKey }: { apiKey: Key }) {
  const { t } = useTranslation("people");
  const owner = apiKey.owner.user ?? apiKey.owner.service_account;
  return (
    <>
      {owner?.name} {apiKey.owner.type === "service_account" && <Tag>{t("serviceAccount")}</Tag>}
      {apiKey.owner_project_access === "inactive" && <Tag color="warning">{t("keys.inactive")}</Tag>}
    </>
  );
}

function LastUse({ apiKey }: { apiKey: Key }) {
  const { t } = useTranslation("people");
  if (apiKey.last_used_at === null) return <>{t("keys.neverUsed")}</>;
  return (
    <>
      {t("lastUsed")}: <Time at={apiKey.last_used_at} />
    </>
  );
}

export function Expiry({ at }: { at: number | null }) {
  const { t } = useTranslation("people");
  if (at === null) return <>{t("never")}</>;
  if (at * 1000 < Date.now()) return <Tag color="error">{t("expired")}</Tag>;
  return <Time at={at} />;
}

/** The organization's projects. */
import { PlusOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { Button, Flex, Switch, Tag } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, sessionApi, type Wire } from "../../api";
import { useMay } from "../../app";
import { useSessionContext } from "../../app/session";
import { ApiForm, Code, ConfirmDanger, EmptyState, ServerTable, Time } from "../../ui";
import { Dialog, NameField } from "./shared";

type Project = Wire<"plinth__identity__schemas__ProjectWire">;

const KEY = ["projects"];

export function Projects() {
  const { t } = useTranslation("people");
  const may = useMay();
  const client = useQueryClient();
  const { accept } = useSessionContext();
  const [archived, setArchived] = useState(false);
  const mayWrite = may("organization:write");
  const changed = async () => {
    await client.invalidateQueries({ queryKey: KEY });
    accept(await sessionApi.get()); // the project switcher
  };
  return (
    <>
      <Flex justify="space-between" align="center" className="page-header" gap={16} wrap>
        <span>{t("projects.intro")}</span>
        <Flex gap={16} align="center">
          <label>
            <Switch size="small" checked={archived} onChange={setArchived} aria-label={t("projects.showArchived")} />{" "}
            {t("projects.showArchived")}
          </label>
          {mayWrite && (
            <NameDialog
              title={t("projects.create")}
              submit={t("create")}
              onSubmit={async (name) => {
                await api.post("/v1/organization/projects", { body: { name } });
                await changed();
              }}
            />
          )}
        </Flex>
      </Flex>
      <ServerTable<Project>
        label={t("tabs.projects")}
        queryKey={[...KEY, archived]}
        fetchPage={({ signal, ...query }) =>
          api.get("/v1/organization/projects", { query: { ...query, include_archived: archived }, signal })
        }
        rowKey={(project) => project.id}
        empty={<EmptyState title={t("projects.none")} />}
        columns={[
          {
            key: "name",
            title: t("name"),
            render: (project) => (
              <>
                {project.name} {project.status === "archived" && <Tag>{t("projects.archived")}</Tag>}
              </>
            ),
          },
          { key: "id", title: "ID", render: (project) => <Code copy>{project.id}</Code> },
          { key: "created", title: t("created"), render: (project) => <Time at={project.created_at} /> },
          {
            key: "actions",
            title: <span className="unseen">{t("actions")}</span>,
            align: "right",
            render: (project) =>
              mayWrite &&
              project.status === "active" && (
                <Flex gap={8} justify="end">
                  <NameDialog
                    small
                    title={t("projects.rename")}
                    submit={t("projects.rename")}
                    name={project.name}
                    onSubmit={async (name) => {
                      const path = { project_id: project.id };
                      await api.post("/v1/organization/projects/{project_id}", { path, body: { name } });
                      await changed();
                    }}
                  />
                  <ConfirmDanger
                    size="small"
                    action={t("projects.archive")}
                    title={t("projects.archiveTitle", { name: project.name })}
                    touches={[t("projects.archiveKeys"), t("projects.archiveModels"), t("projects.archiveForGood")]}
                    typeToConfirm={project.name}
                    onConfirm={async () => {
                      const path = { project_id: project.id };
                      await api.post("/v1/organization/projects/{project_id}/archive", { path });
                      await changed();
                    }}
                  />
                </Flex>
              ),
          },
        ]}
      />
    </>
  );
}

interface NameDialogProps {
  title: string;
  submit: string;
  name?: string;
  small?: boolean;
  onSubmit: (name: string) => Promise<unknown>;
}

function NameDialog({ title, submit, name, small = false, onSubmit }: NameDialogProps) {
  return (
    <Dialog
      title={title}
      button={(open) =>
        small ? (
          <Button size="small" onClick={open}>
            {title}
          </Button>
        ) : (
          <Button type="primary" icon={<PlusOutlined />} onClick={open}>
            {title}
          </Button>
        )
      }
    >
      {(close) => (
        <ApiForm<{ name: string }>
          submit={submit}
          initial={name === undefined ? {} : { name }}
          onCancel={close}
          onSubmit={async (values) => {
            await onSubmit(values.name);
            close();
          }}
        >
          <NameField />
        </ApiForm>
      )}
    </Dialog>
  );
}

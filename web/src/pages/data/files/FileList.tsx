/** The project's files, newest first. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Button, Flex, Form, Select, Tag } from "antd";
import { useEffect, useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { api } from "../../../api";
import { useMay } from "../../../app";
import { bytesText, Code, ConfirmDanger, EmptyState, Section, ServerTable, Time, useNotify, type Column } from "../../../ui";
import { FILES, PURPOSES, type FileObject } from "../types";
import { download } from "./download";
import { transfers } from "./transfers";
import { Uploader } from "./Uploader";
import { jobsOf } from "./users";

export function Files() {
  const { t } = useTranslation("data");
  const may = useMay();
  const client = useQueryClient();
  useEffect(() => transfers.whenDone(() => void client.invalidateQueries({ queryKey: FILES })), [client]);
  return (
    <>
      {may("data:write") && (
        <Section title={t("upload.heading")}>
          <Uploader />
        </Section>
      )}
      <Section title={t("files.heading")}>
        <FileTable />
      </Section>
    </>
  );
}

function FileTable() {
  const { t, i18n } = useTranslation("data");
  const [purpose, setPurpose] = useState<string | null>(null);
  const id = useId();
  const nameOf = (value: string) => t(`purposes.${value}`, { defaultValue: value });
  const columns: Column<FileObject>[] = [
    { key: "name", title: t("files.name"), render: (file) => <FileName file={file} /> },
    { key: "purpose", title: t("purpose"), render: (file) => <Tag>{nameOf(file.purpose)}</Tag> },
    { key: "size", title: t("size"), align: "right", render: (file) => bytesText(file.bytes, i18n.language) },
    { key: "created", title: t("created"), render: (file) => <Time at={file.created_at} /> },
    { key: "expires", title: t("files.expires"), render: (file) => <Expiry at={file.expires_at} /> },
    { key: "actions", title: <span className="unseen">{t("actions")}</span>, align: "right", render: (file) => <Actions file={file} /> },
  ];
  return (
    <>
      <Form.Item label={t("files.filter")} htmlFor={id} className="data-field">
        <Select
          id={id}
          className="filter"
          allowClear
          placeholder={t("files.all")}
          value={purpose}
          onChange={(value: string | undefined) => setPurpose(value ?? null)}
          options={PURPOSES.map((value) => ({ value, label: nameOf(value) }))}
        />
      </Form.Item>
      <ServerTable<FileObject>
        label={t("files.heading")}
        queryKey={[...FILES, "list", purpose]}
        fetchPage={({ signal, after, limit }) =>
          api.get("/v1/files", { query: { after: after ?? null, limit, purpose, order: "desc" }, signal })
        }
        rowKey={(file) => file.id}
        columns={columns}
        empty={<EmptyState title={t("files.none")} next={t("files.noneNext")} />}
      />
    </>
  );
}

function FileName({ file }: { file: FileObject }) {
  return (
    <Flex vertical>
      <span>{file.filename}</span>
      <Code copy>{file.id}</Code>
    </Flex>
  );
}

function Expiry({ at }: { at: number | null | undefined }) {
  const { t } = useTranslation("data");
  return typeof at !== "number" ? <span className="quiet">{t("files.never")}</span> : <Time at={at} />;
}

function Actions({ file }: { file: FileObject }) {
  const { t } = useTranslation("data");
  const may = useMay();
  const notify = useNotify();
  const client = useQueryClient();
  const [saving, setSaving] = useState(false);
  const saveFile = async () => {
    setSaving(true);
    try {
      await download(`/v1/files/${encodeURIComponent(file.id)}/content`, file.filename, file.bytes);
    } catch (error) {
      const isCancelled = error instanceof DOMException && error.name === "AbortError";
      if (!isCancelled) notify.failure(error);
    } finally {
      setSaving(false);
    }
  };
  const remove = async () => {
    await api.delete("/v1/files/{file_id}", { path: { file_id: file.id } });
    await client.invalidateQueries({ queryKey: FILES });
  };
  return (
    <Flex gap={8} justify="end">
      {may("data:write") && file.purpose === "fine-tune" && (
        <Link to={`/data/new?file=${encodeURIComponent(file.id)}`}>{t("datasets.createFrom")}</Link>
      )}
      <Button size="small" loading={saving} onClick={saveFile} aria-label={t("files.downloadNamed", { name: file.filename })}>
        {t("files.download")}
      </Button>
      {may("data:write") && (
        <ConfirmDanger
          size="small"
          action={t("files.delete")}
          title={t("files.deleteTitle", { name: file.filename })}
          touches={[
            t("files.deleteContent", { name: file.filename }),
            <WorkingJobs key="jobs" file={file} />,
            t("files.deleteKeeps"),
          ]}
          onConfirm={remove}
        />
      )}
    </Flex>
  );
}

/** Which jobs still read this file. Asked for when the dialog is open. */
function WorkingJobs({ file }: { file: FileObject }) {
  const { t } = useTranslation("data");
  const may = useMay();
  const query = useQuery({ queryKey: [...FILES, "jobs", file.id], queryFn: ({ signal }) => jobsOf(file.id, may, signal) });
  if (query.error) return <>{t("files.jobsUnknown")}</>;
  if (!query.data) return <>{t("files.jobsAsking")}</>;
  if (query.data.length === 0) return <>{t("files.noJobs")}</>;
  return <>{t("files.jobs", { count: query.data.length, ids: query.data.join(", ") })}</>;
}

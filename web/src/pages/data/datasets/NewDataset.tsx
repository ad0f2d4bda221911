/** A dataset version from a file: first every row is checked (nothing is stored), then it is made. */
import { useQuery } from "@tanstack/react-query";
import { Form } from "antd";
import { useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useSearchParams } from "react-router";
import { api } from "../../../api";
import { ApiForm, EmptyState, Loaded, PageHeader, Section } from "../../../ui";
import { readDraft, writeDraft } from "../../run/draft";
import { FILES, type DryRun, type FileObject } from "../types";
import { Checked } from "./Checked";
import { bodyOf, EMPTY, fromDraft, isSameRequest, type Values } from "./request";
import { RequestFields } from "./RequestFields";
import { datasetNameOf } from "./shares";

const DRAFT = "data.new";
// chosen from by name; older ones are reached from the list of files
const MOST_FILES = 1000;

export function NewDataset() {
  const { t } = useTranslation("data");
  const files = useQuery({
    queryKey: [...FILES, "choice"],
    queryFn: ({ signal }) => api.get("/v1/files", { query: { purpose: "fine-tune", limit: MOST_FILES }, signal }),
  });
  return (
    <>
      <PageHeader
        title={t("new.title")}
        intro={t("new.intro")}
        actions={<Link to="/data/datasets">{t("datasets.back")}</Link>}
      />
      <Loaded query={files} rows={6}>
        {(page) =>
          page.data.length > 0 ? (
            <NewDatasetForm files={page.data} />
          ) : (
            <EmptyState
              title={t("new.noFiles")}
              next={t("new.noFilesNext")}
              action={<Link to="/data/files">{t("new.toFiles")}</Link>}
            />
          )
        }
      </Loaded>
    </>
  );
}

function NewDatasetForm({ files }: { files: FileObject[] }) {
  const { t } = useTranslation("data");
  const [search] = useSearchParams();
  const [form] = Form.useForm<Values>();
  const [checked, setChecked] = useState<{ values: Values; result: DryRun } | null>(null);
  const asked = search.get("file");
  const initial = useMemo(() => startWith(asked, files), [asked, files]);
  const values = Form.useWatch([], form) as Values | undefined;
  useEffect(() => {
    if (values) writeDraft(DRAFT, values);
  }, [values]);
  const isCurrent = checked !== null && values !== undefined && isSameRequest(values, checked.values);
  const check = async (typed: Values) => {
    setChecked(null);
    const result = await api.post("/api/datasets", { body: { ...bodyOf(typed), dry_run: true } });
    if (result.object === "dataset.dry_run") setChecked({ values: typed, result });
  };
  return (
    <>
      <Section title={t("new.heading")}>
        <ApiForm<Values> form={form} initial={initial} submit={t("new.check")} onSubmit={check}>
          <RequestFields files={files} columns={checked?.result.columns ?? []} form={form} />
        </ApiForm>
      </Section>
      {checked && (
        <Checked
          result={checked.result}
          isCurrent={isCurrent}
          create={() => api.post("/api/datasets", { body: bodyOf(checked.values) })}
          onCreated={() => writeDraft(DRAFT, null)}
        />
      )}
    </>
  );
}

function startWith(fileId: string | null, files: FileObject[]): Values {
  const draft = fromDraft(readDraft(DRAFT)) ?? EMPTY;
  if (!fileId || fileId === draft.file_id) return draft;
  const file = files.find((item) => item.id === fileId);
  return { ...EMPTY, file_id: fileId, name: datasetNameOf(file?.filename ?? "") };
}

/** Batches of calls: how far they are, what they used, their files. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Alert, Descriptions } from "antd";
import { useCallback } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate, useParams } from "react-router";
import { api, type Wire } from "../../api";
import { useChanges, useMay } from "../../app";
import { Code, ConfirmDanger, EmptyState, JobProgress, Loaded, PageHeader, Section, ServerTable, Time, numberText, type Column } from "../../ui";

type Batch = Wire<"BatchObject">;
type State = "active" | "succeeded" | "failed" | "cancelled";

const KEY = ["batches"];
const REFRESH_MS = 5000;

export function stateOf(status: string): State {
  if (status === "completed") return "succeeded";
  if (status === "failed" || status === "expired") return "failed";
  return status === "cancelled" ? "cancelled" : "active";
}

function useLive(): void {
  const client = useQueryClient();
  const refetch = useCallback(() => void client.invalidateQueries({ queryKey: KEY }), [client]);
  useChanges(["gateway.batch."], refetch);
}

export function BatchList() {
  const { t } = useTranslation("playground");
  const navigate = useNavigate();
  useLive();
  const columns: Column<Batch>[] = [
    { key: "id", title: t("batches.id"), render: (row) => <code>{row.id}</code> },
    { key: "model", title: t("batches.model"), render: (row) => row.model ?? row.endpoint },
    { key: "progress", title: t("batches.progress"), width: 260, render: (row) => <Progress batch={row} /> },
    { key: "created", title: t("batches.created"), render: (row) => <Time at={row.created_at} /> },
  ];
  return (
    <>
      <PageHeader title={t("batches.title")} intro={t("batches.intro")} help="docs/batches" />
      <ServerTable
        label={t("batches.title")}
        queryKey={[...KEY, "list"]}
        fetchPage={({ after, limit, signal }) => api.get("/v1/batches", { query: { after, limit }, signal })}
        rowKey={(row) => row.id}
        columns={columns}
        onOpen={(row) => void navigate(`/playground/batches/${row.id}`)}
        refreshMilliseconds={REFRESH_MS}
        empty={<EmptyState title={t("batches.empty")} next={t("batches.emptyNext")} />}
      />
    </>
  );
}

function Progress({ batch }: { batch: Batch }) {
  const { t, i18n } = useTranslation("playground");
  const { total, completed, failed } = batch.request_counts;
  const number = (value: number) => numberText(value, i18n.language);
  return (
    <JobProgress
      label={t(`batches.states.${batch.status}`)}
      progress={total > 0 ? (completed + failed) / total : null}
      state={stateOf(batch.status)}
      detail={t("batches.counts", { completed: number(completed), failed: number(failed), total: number(total) })}
    />
  );
}

export function BatchPage() {
  const { t } = useTranslation("playground");
  const batch_id = useParams()["batchId"] ?? "";
  useLive();
  const query = useQuery({
    queryKey: [...KEY, "one", batch_id],
    queryFn: ({ signal }) => api.get("/v1/batches/{batch_id}", { path: { batch_id }, signal }),
    refetchInterval: (known) => (known.state.data && stateOf(known.state.data.status) !== "active" ? false : REFRESH_MS),
  });
  return (
    <>
      <PageHeader title={t("batches.one", { id: batch_id })} help="docs/batches" actions={query.data && <Cancel batch={query.data} />} />
      <Loaded query={query}>{(batch) => <Details batch={batch} />}</Loaded>
    </>
  );
}

function Cancel({ batch }: { batch: Batch }) {
  const { t } = useTranslation("playground");
  const client = useQueryClient();
  const may = useMay()("data:write");
  if (!may || stateOf(batch.status) !== "active" || batch.status === "cancelling") return null;
  const { total, completed, failed } = batch.request_counts;
  return (
    <ConfirmDanger
      action={t("batches.cancel")}
      title={t("batches.cancelTitle")}
      touches={[t("batches.touchesRest", { count: total - completed - failed }), t("batches.touchesDone", { count: completed })]}
      onConfirm={async () => {
        await api.post("/v1/batches/{batch_id}/cancel", { path: { batch_id: batch.id } });
        await client.invalidateQueries({ queryKey: KEY });
      }}
    />
  );
}

function Details({ batch }: { batch: Batch }) {
  const { t, i18n } = useTranslation("playground");
  const number = (value: number) => numberText(value, i18n.language);
  const file = (id: string | null) => (id ? <Code copy>{id}</Code> : "–");
  const items = [
    { label: t("batches.model"), children: batch.model ?? "–" },
    { label: t("batches.endpoint"), children: <code>{batch.endpoint}</code> },
    { label: t("batches.created"), children: <Time at={batch.created_at} absolute /> },
    { label: t("batches.expires"), children: <Time at={batch.expires_at} absolute /> },
    { label: t("batches.input"), children: file(batch.input_file_id) },
    { label: t("batches.output"), children: file(batch.output_file_id) },
    { label: t("batches.errors"), children: file(batch.error_file_id) },
    {
      label: t("batches.tokens"),
      children: t("batches.tokenCounts", { input: number(batch.usage.input_tokens), output: number(batch.usage.output_tokens) }),
    },
  ];
  return (
    <>
      <Section title={t("batches.progress")}>
        <Progress batch={batch} />
      </Section>
      {batch.errors && (
        <Alert
          type="error"
          showIcon
          title={t("batches.problems")}
          description={
            <ul>
              {batch.errors.data.map((problem, index) => (
                <li key={index}>
                  {problem.line !== null && t("batches.line", { line: problem.line })} {problem.message}
                </li>
              ))}
            </ul>
          }
        />
      )}
      <Section title={t("batches.details")}>
        <Descriptions column={{ xs: 1, md: 2 }} items={items.map((item, key) => ({ key, ...item }))} />
      </Section>
    </>
  );
}

/** Where the examples come from: a split of a dataset version, or a file of items. */
import { useQuery } from "@tanstack/react-query";
import { Alert, Form, Radio, Select } from "antd";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { allOf, api } from "../../api";
import { FileSelect } from "../lab";
import { numberText, useErrorText } from "../../ui";
import { fieldsOf, firstItem, type Draft } from "./create";

function useDatasets() {
  return useQuery({
    queryKey: ["datasets", "for evaluation"],
    queryFn: ({ signal }) => allOf(({ signal, ...query }) => api.get("/api/datasets", { query, signal }), signal),
  });
}

function useDataVersions(dataset: string | undefined) {
  return useQuery({
    queryKey: ["datasets", dataset, "versions for evaluation"],
    enabled: dataset !== undefined,
    queryFn: ({ signal }) =>
      allOf(
        ({ signal, ...query }) =>
          api.get("/api/datasets/{name}/versions", { path: { name: dataset ?? "" }, query, signal }),
        signal,
      ),
  });
}

interface SplitStatistics {
  rows: number;
  labels: Record<string, number>;
}

function useVersion(values: Partial<Draft>) {
  const versions = useDataVersions(values.from === "dataset" ? values.dataset : undefined);
  return versions.data?.find(({ id }) => id === values.version);
}

function splitsOf(statistics: Record<string, unknown> | undefined): [string, SplitStatistics][] {
  return Object.entries((statistics?.["splits"] ?? {}) as Record<string, SplitStatistics>);
}

/** The labels that the chosen data version is known to have. */
export function useLabels(values: Partial<Draft>): string[] {
  const version = useVersion(values);
  return Object.keys(version?.statistics["labels"] ?? {}).sort();
}

export function DataFields({ values }: { values: Partial<Draft> }) {
  const { t } = useTranslation("evaluate");
  return (
    <>
      <Form.Item name="from" label={t("new.from")}>
        <Radio.Group>
          {(["dataset", "file"] as const).map((from) => (
            <Radio key={from} value={from} className="choice">
              {t(`new.sources.${from}`)} <span className="quiet">{t(`new.sourcesHelp.${from}`)}</span>
            </Radio>
          ))}
        </Radio.Group>
      </Form.Item>
      {values.from === "file" ? <FileFields values={values} /> : <DatasetFields values={values} />}
    </>
  );
}

function DatasetFields({ values }: { values: Partial<Draft> }) {
  const { t, i18n } = useTranslation("evaluate");
  const form = Form.useFormInstance<Draft>();
  const datasets = useDatasets();
  const versions = useDataVersions(values.dataset);
  const version = useVersion(values);
  const rows = (count: number) => t("new.rows", { count, number: numberText(count, i18n.language) });
  const required = [{ required: true, message: t("new.dataMissing") }];
  return (
    <>
      <Form.Item name="dataset" label={t("new.dataset")} rules={required}>
        <Select
          showSearch
          loading={datasets.isLoading}
          notFoundContent={<Link to="/data">{t("new.noDatasets")}</Link>}
          options={(datasets.data ?? []).map(({ name }) => ({ value: name, label: name }))}
          onChange={() => form.resetFields(["version", "split"])}
        />
      </Form.Item>
      <Form.Item name="version" label={t("new.version")} rules={required}>
        <Select
          disabled={values.dataset === undefined}
          loading={versions.isLoading}
          options={[...(versions.data ?? [])].reverse().map((entry) => ({
            value: entry.id,
            label: `${t("new.versionNumber", { number: entry.version })} · ${rows(entry.rows)}`,
          }))}
          onChange={() => form.resetFields(["split"])}
        />
      </Form.Item>
      <Form.Item name="split" label={t("new.split")} extra={t("new.splitHelp")} rules={required}>
        <Select
          disabled={!version}
          options={splitsOf(version?.statistics).map(([name, split]) => ({
            value: name,
            label: `${name} · ${rows(split.rows)}`,
            disabled: split.rows === 0,
          }))}
        />
      </Form.Item>
      {values.split === "train" && <Alert type="warning" showIcon className="form-error" title={t("new.trainSplit")} />}
    </>
  );
}

function FileFields({ values }: { values: Partial<Draft> }) {
  const { t } = useTranslation("evaluate");
  const textOf = useErrorText();
  const first = useQuery({
    queryKey: ["files", values.file, "first item"],
    enabled: values.file !== undefined,
    staleTime: Infinity,
    retry: false,
    queryFn: ({ signal }) => firstItem(values.file ?? "", signal),
  });
  const fields = fieldsOf(first.data ?? {}).map((field) => ({ value: field, label: field }));
  return (
    <>
      <Form.Item name="file" label={t("new.file")} extra={t("new.fileHelp")} rules={[{ required: true, message: t("new.dataMissing") }]}>
        <FileSelect purpose="evals" label={t("new.file")} />
      </Form.Item>
      {first.error && <Alert type="error" showIcon role="alert" className="form-error" title={t("new.badFile")} description={textOf(first.error)} />}
      {first.data === null && <Alert type="error" showIcon role="alert" className="form-error" title={t("new.badFile")} />}
      <Form.Item name="question" label={t("new.question")} extra={t("new.questionHelp")} rules={[{ required: true, message: t("new.fieldMissing") }]}>
        <Select disabled={fields.length === 0} options={fields} />
      </Form.Item>
      <Form.Item name="reference" label={t("new.reference")} extra={t("new.referenceHelp")} rules={[{ required: true, message: t("new.fieldMissing") }]}>
        <Select disabled={fields.length === 0} options={fields} />
      </Form.Item>
    </>
  );
}

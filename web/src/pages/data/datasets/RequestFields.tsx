/** The fields of a new dataset. */
import { AutoComplete, Form, Input, InputNumber, Select, type FormInstance } from "antd";
import { useTranslation } from "react-i18next";
import { bytesText } from "../../../ui";
import { FORMATS, type FileObject } from "../types";
import type { Values } from "./request";
import { datasetNameOf, problemOf, type SplitShare } from "./shares";
import { SplitFields } from "./SplitFields";

interface Props {
  files: FileObject[];
  /** Columns that the last check found, to choose from. */
  columns: string[];
  form: FormInstance<Values>;
}

export function RequestFields({ files, columns, form }: Props) {
  const { t, i18n } = useTranslation("data");
  const format = Form.useWatch<Values["format"]>("format", form);
  const nameAfter = (fileId: string) => {
    const file = files.find((item) => item.id === fileId);
    if (file && !form.getFieldValue("name")) form.setFieldValue("name", datasetNameOf(file.filename));
  };
  const fileOptions = files.map((file) => ({
    value: file.id,
    label: `${file.filename} · ${bytesText(file.bytes, i18n.language)} · ${file.id}`,
  }));
  const columnOptions = columns.map((value) => ({ value }));
  return (
    <div className="data-form">
      <Form.Item name="file_id" label={t("new.file")} rules={[{ required: true, message: t("missing.file") }]}>
        <Select showSearch={{ optionFilterProp: "label" }} options={fileOptions} onChange={nameAfter} />
      </Form.Item>
      <Form.Item name="name" label={t("datasets.name")} extra={t("new.nameHint")} rules={[{ required: true, whitespace: true, message: t("missing.name") }]}>
        <Input maxLength={64} autoComplete="off" />
      </Form.Item>
      <Form.Item name="format" label={t("format")} extra={t(`formatHints.${format ?? "auto"}`)}>
        <Select allowClear placeholder={t("formats.auto")} options={FORMATS.map((value) => ({ value, label: t(`formats.${value}`) }))} />
      </Form.Item>
      <Form.Item name="text_column" label={t("new.textColumn")} extra={t("new.textColumnHint")}>
        <AutoComplete options={columnOptions} />
      </Form.Item>
      <Form.Item name="label_column" label={t("new.labelColumn")} extra={t("new.labelColumnHint")}>
        <AutoComplete options={columnOptions} />
      </Form.Item>
      <Form.Item name="instruction" label={t("new.instruction")} extra={t("new.instructionHint")} className="data-wide">
        <Input.TextArea rows={3} maxLength={100_000} />
      </Form.Item>
      <SplitItems />
    </div>
  );
}

/** Also used where a version gets other splits. */
export function SplitItems() {
  const { t } = useTranslation("data");
  const validator = (_: unknown, shares: SplitShare[]) => {
    const problem = problemOf(shares);
    return problem ? Promise.reject(new Error(t(`splits.problems.${problem}`))) : Promise.resolve();
  };
  return (
    <>
      <Form.Item required name="splits" label={t("splits.title")} extra={t("splits.hint")} rules={[{ validator }]} validateTrigger="onChange">
        <SplitFields />
      </Form.Item>
      <Form.Item name="split_seed" label={t("splits.seed")} extra={t("splits.seedHint")}>
        <InputNumber min={0} max={2_147_483_647} precision={0} />
      </Form.Item>
    </>
  );
}

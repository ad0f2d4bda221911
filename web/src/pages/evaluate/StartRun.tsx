/** Starts a run: which model, over which rows. By default the same rows and settings as the newest run. */
import { PlayCircleOutlined } from "@ant-design/icons";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Button, Form, Input, Modal, Radio } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { api } from "../../api";
import { ApiForm, Loaded } from "../../ui";
import { FileSelect, useFormDraft } from "../lab";
import { ModelSelect } from "../run";
import { ownSource, sourceOf, sourceOfRun, type Source } from "./source";
import { EVALS_KEY, type Eval, type Run } from "./types";

interface Values {
  model: string;
  rows: "last" | "own" | "file";
  name?: string;
  file?: string;
  input?: string;
}

const NAMES = {
  "data_source.model": "model",
  "data_source.source": "file",
  "data_source.source.id": "file",
  "data_source.input_messages": "input",
};

export function StartRun({ entry }: { entry: Eval }) {
  const { t } = useTranslation("evaluate");
  const [open, setOpen] = useState(false);
  const last = useLastRun(entry.id, open);
  return (
    <>
      <Button type="primary" icon={<PlayCircleOutlined />} onClick={() => setOpen(true)}>
        {t("start.button")}
      </Button>
      <Modal open={open} title={t("start.title")} footer={null} onCancel={() => setOpen(false)} destroyOnHidden>
        <Loaded query={last}>{(run) => <StartForm entry={entry} last={run} onClose={() => setOpen(false)} />}</Loaded>
      </Modal>
    </>
  );
}

/** With the rows it was sent, if they came with the request. Null when there is none. */
function useLastRun(evalId: string, wanted: boolean) {
  return useQuery({
    queryKey: [...EVALS_KEY, evalId, "last run"],
    enabled: wanted,
    queryFn: async ({ signal }): Promise<Run | null> => {
      const page = await api.get("/v1/evals/{eval_id}/runs", { path: { eval_id: evalId }, query: { limit: 1, order: "desc" }, signal });
      const run = page.data[0];
      if (!run) return null;
      return api.get("/v1/evals/{eval_id}/runs/{run_id}", { path: { eval_id: evalId, run_id: run.id }, signal });
    },
  });
}

function StartForm({ entry, last, onClose }: { entry: Eval; last: Run | null; onClose: () => void }) {
  const { t } = useTranslation("evaluate");
  const [form] = Form.useForm<Values>();
  const { stored, values, forget } = useFormDraft(form, `evaluate.run.${entry.id}`);
  const client = useQueryClient();
  const navigate = useNavigate();
  const sources: Record<string, Source | null> = { last: last && sourceOfRun(last), own: ownSource(entry) };
  const choices = [...(["last", "own"] as const).filter((name) => sources[name]), "file" as const];
  const rows = choices.includes(values?.rows ?? "file") ? (values?.rows ?? choices[0]) : choices[0];
  const submit = async ({ model, name, file = "", input = "" }: Values) => {
    const source = sources[rows ?? "file"] ?? sourceOf(file, input);
    const run = await api.post("/v1/evals/{eval_id}/runs", {
      path: { eval_id: entry.id },
      body: { name: name?.trim() || model, data_source: { ...source, model } },
    });
    forget();
    onClose();
    void client.invalidateQueries({ queryKey: EVALS_KEY });
    void navigate(`/evaluate/${entry.id}/runs/${run.id}`);
  };
  return (
    <ApiForm<Values>
      form={form}
      initial={{ rows: choices[0] ?? "file", ...stored }}
      names={NAMES}
      submit={t("start.submit")}
      onSubmit={submit}
      onCancel={onClose}
    >
      <Form.Item name="model" label={t("model")} extra={t("start.modelHelp")} rules={[{ required: true, message: t("start.modelMissing") }]}>
        <ModelSelect label={t("model")} capability="generate" withRoutes />
      </Form.Item>
      <Form.Item name="rows" label={t("start.rows")}>
        <Radio.Group>
          {choices.map((choice) => (
            <Radio key={choice} value={choice} className="choice">
              {t(`start.choices.${choice}`, { name: last?.name })}
            </Radio>
          ))}
        </Radio.Group>
      </Form.Item>
      {rows === "file" && (
        <>
          <Form.Item name="file" label={t("new.file")} extra={t("new.fileHelp")} rules={[{ required: true, message: t("new.dataMissing") }]}>
            <FileSelect purpose="evals" label={t("new.file")} />
          </Form.Item>
          <Form.Item name="input" label={t("start.input")} extra={t("start.inputHelp", { example: "{{item.question}}" })} rules={[{ required: true, message: t("new.fieldMissing") }]}>
            <Input.TextArea autoSize={{ minRows: 1, maxRows: 8 }} />
          </Form.Item>
        </>
      )}
      <Form.Item name="name" label={t("start.name")} extra={t("start.nameHelp")}>
        <Input maxLength={256} autoComplete="off" />
      </Form.Item>
    </ApiForm>
  );
}

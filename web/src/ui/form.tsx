/** Forms whose errors are the API's: its sentence appears beside the field that caused it. */
import { Alert, Button, Flex, Form, type FormInstance } from "antd";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../api";
import { useErrorText } from "./page";

interface ApiFormProps<Values> {
  /** Sends the values. What it throws is shown; what was typed stays. */
  onSubmit: (values: Values) => Promise<unknown>;
  submit: string;
  children: ReactNode;
  initial?: Partial<Values>;
  form?: FormInstance<Values>;
  /** The API's name of a field -> the form's, where they differ. */
  names?: Record<string, string>;
  onCancel?: () => void;
  extra?: ReactNode;
}

export function ApiForm<Values extends object>(props: ApiFormProps<Values>) {
  const { t } = useTranslation();
  const [own] = Form.useForm<Values>();
  const form = props.form ?? own;
  const [failure, setFailure] = useState<unknown>(null);
  const [pending, setPending] = useState(false);
  const textOf = useErrorText();

  const submit = async (values: Values) => {
    setPending(true);
    setFailure(null);
    try {
      await props.onSubmit(values);
    } catch (error) {
      if (!putBesideField(form, error, props.names ?? {})) setFailure(error);
    } finally {
      setPending(false);
    }
  };
  return (
    <Form<Values>
      form={form}
      layout="vertical"
      requiredMark="optional"
      initialValues={(props.initial ?? {})}
      onFinish={submit}
      scrollToFirstError={{ focus: true }}
      validateTrigger="onBlur"
    >
      {failure !== null && <Alert type="error" showIcon role="alert" title={textOf(failure)} className="form-error" />}
      {props.children}
      <Flex gap={8} justify="end" align="center">
        {props.extra}
        {props.onCancel && <Button onClick={props.onCancel}>{t("ui.cancel")}</Button>}
        <Button type="primary" htmlType="submit" loading={pending}>
          {props.submit}
        </Button>
      </Flex>
    </Form>
  );
}

type Path = (string | number)[];

/** Whether the error named a field of this form. The form then shows the sentence there and moves the focus. */
function putBesideField<Values>(form: FormInstance<Values>, error: unknown, names: Record<string, string>): boolean {
  if (!(error instanceof ApiError) || !error.param) return false;
  const path = pathOf(names[error.param] ?? error.param);
  const fields = (form.getFieldsError() as { name: Path }[]).map((field) => field.name);
  const found = fields.find((name) => same(name, path)) ?? fields.find((name) => same(name, path.slice(0, name.length)));
  if (!found) return false;
  form.setFields([{ name: found, errors: [error.message] } as Parameters<typeof form.setFields>[0][number]]);
  form.scrollToField(found, { focus: true });
  return true;
}

function same(name: Path, path: Path): boolean {
  return name.length === path.length && name.every((part, index) => String(part) === String(path[index]));
}

/** "projects.0.id" or "projects[0].id" as a path. */
function pathOf(param: string): Path {
  return param
    .replace(/\[(\w+)\]/g, ".$1")
    .split(".")
    .filter(Boolean)
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

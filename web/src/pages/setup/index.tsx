/** The first run: the owner, the language, and whether to begin with the sample. */
import { Alert, Form, Input, Radio } from "antd";
import { useTranslation } from "react-i18next";
import { Navigate, useLocation, useNavigate, useSearchParams } from "react-router";
import { sessionApi, type Language, type Setup } from "../../api";
import { NewPassword } from "../../app/AccountDialog";
import { tokenOf } from "../../app/address";
import { Door } from "../../app/Door";
import { useSessionContext } from "../../app/session";
import { chooseLanguage } from "../../i18n";
import { ApiForm, useNotify } from "../../ui";
import en from "./en.json";
import zh from "./zh.json";

export const texts = { en, zh };

type Values = Omit<Setup, "token">;

export default function SetupPage() {
  const { t } = useTranslation("setup");
  const { session } = useSessionContext();
  const { hash } = useLocation();
  const [search] = useSearchParams();
  const token = tokenOf(hash, search);
  if (session.signed_in) return <Navigate to="/" replace />;
  if (!session.setup_needed) return <Navigate to="/signin" replace />;
  return (
    <Door title={t("title")} intro={t("intro")}>
      {token ? (
        <SetupForm token={token} />
      ) : (
        <Alert type="info" showIcon title={t("noToken")} description={t("noTokenNext")} />
      )}
    </Door>
  );
}

function SetupForm({ token }: { token: string }) {
  const { t, i18n } = useTranslation("setup");
  const { accept } = useSessionContext();
  const navigate = useNavigate();
  const notify = useNotify();
  const submit = async (values: Values) => {
    const done = await sessionApi.setup({ ...values, token });
    if (done.sample === "failed") notify.info(t("sampleFailed"), t("sampleFailedNext"));
    accept(done);
    void navigate("/", { replace: true });
  };
  const required = (key: string) => [{ required: true, message: t(`missing.${key}`) }];
  return (
    <ApiForm<Values>
      submit={t("submit")}
      onSubmit={submit}
      initial={{ language: i18n.language as Language, sample: true }}
    >
      <Form.Item name="language" label={t("language")}>
        <Radio.Group
          onChange={(event) => void chooseLanguage(event.target.value as Language)}
          options={[
            { value: "zh", label: <span lang="zh">中文</span> },
            { value: "en", label: <span lang="en">English</span> },
          ]}
        />
      </Form.Item>
      <Form.Item name="organization" label={t("organization")} rules={required("organization")}>
        <Input autoComplete="organization" autoFocus />
      </Form.Item>
      <Form.Item name="name" label={t("name")} rules={required("name")}>
        <Input autoComplete="name" />
      </Form.Item>
      <Form.Item name="email" label={t("email")} rules={required("email")}>
        <Input type="email" autoComplete="username" />
      </Form.Item>
      <NewPassword />
      <Form.Item name="sample" label={t("begin")} extra={t("beginHint")}>
        <Radio.Group
          options={[
            { value: true, label: t("sample") },
            { value: false, label: t("empty") },
          ]}
        />
      </Form.Item>
    </ApiForm>
  );
}

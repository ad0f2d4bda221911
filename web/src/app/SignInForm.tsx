/** E-mail and password, and the organization's other ways in. */
import { Divider, Flex, Form, Input } from "antd";
import { useTranslation } from "react-i18next";
import { sessionApi, type OidcProvider, type Session } from "../api";
import { ApiForm } from "../ui";

interface SignInFormProps {
  oidc: readonly OidcProvider[];
  onSignedIn: (session: Session) => void;
  email?: string;
  /** Open a provider beside this page instead of in its place. */
  beside?: boolean;
}

export function SignInForm({ oidc, onSignedIn, email, beside = false }: SignInFormProps) {
  const { t } = useTranslation();
  return (
    <>
      <ApiForm<{ email: string; password: string }>
        submit={t("signin.submit")}
        initial={email ? { email } : {}}
        onSubmit={async (values) => onSignedIn(await sessionApi.signIn(values))}
      >
        <Form.Item name="email" label={t("signin.email")} rules={[{ required: true, message: t("signin.emailMissing") }]}>
          <Input type="email" autoComplete="username" autoFocus={!email} />
        </Form.Item>
        <Form.Item
          name="password"
          label={t("signin.password")}
          rules={[{ required: true, message: t("signin.passwordMissing") }]}
        >
          <Input.Password autoComplete="current-password" autoFocus={Boolean(email)} />
        </Form.Item>
      </ApiForm>
      {oidc.length > 0 && (
        <>
          <Divider plain>{t("signin.or")}</Divider>
          <Flex vertical gap={8}>
            {oidc.map((provider) => (
              <a
                key={provider.id}
                className="oidc"
                href={`/api/session/oidc/${encodeURIComponent(provider.id)}`}
                {...(beside && { target: "_blank", rel: "noopener" })}
              >
                {t("signin.with", { name: provider.name })}
              </a>
            ))}
          </Flex>
        </>
      )}
    </>
  );
}

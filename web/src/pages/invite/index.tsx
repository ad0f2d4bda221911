/** Accept an invitation: name and password. */
import { useQuery } from "@tanstack/react-query";
import { Alert, Form, Input } from "antd";
import { useTranslation } from "react-i18next";
import { Navigate, useLocation, useNavigate, useSearchParams } from "react-router";
import { sessionApi } from "../../api";
import { NewPassword } from "../../app/AccountDialog";
import { tokenOf } from "../../app/address";
import { Door } from "../../app/Door";
import { useSessionContext } from "../../app/session";
import { ApiForm, Loaded } from "../../ui";
import en from "./en.json";
import zh from "./zh.json";

export const texts = { en, zh };

export default function InvitePage() {
  const { t } = useTranslation("invite");
  const { session } = useSessionContext();
  const { hash } = useLocation();
  const [search] = useSearchParams();
  const token = tokenOf(hash, search);
  const query = useQuery({
    queryKey: ["invitation", token],
    queryFn: () => sessionApi.invitation(token),
    enabled: token !== "" && !session.signed_in,
  });
  if (session.signed_in) return <Navigate to="/" replace />;
  if (!token) {
    return (
      <Door title={t("title")}>
        <Alert type="warning" showIcon title={t("noToken")} description={t("askAgain")} />
      </Door>
    );
  }
  return (
    <Door title={t("title")}>
      <Loaded query={query}>
        {(invitation) =>
          invitation.expired ? (
            <Alert type="warning" showIcon title={t("expired")} description={t("askAgain")} />
          ) : (
            <>
              <p>{t("intro", { organization: invitation.organization, email: invitation.email })}</p>
              <AcceptForm token={token} email={invitation.email} />
            </>
          )
        }
      </Loaded>
    </Door>
  );
}

function AcceptForm({ token, email }: { token: string; email: string }) {
  const { t } = useTranslation("invite");
  const { accept } = useSessionContext();
  const navigate = useNavigate();
  const submit = async (values: { name: string; password: string }) => {
    accept(await sessionApi.acceptInvitation({ token, ...values }));
    void navigate("/", { replace: true });
  };
  return (
    <ApiForm<{ name: string; password: string }> submit={t("submit")} onSubmit={submit}>
      {/* so that password managers keep the password under the right name */}
      <input type="email" name="username" autoComplete="username" value={email} readOnly hidden />
      <Form.Item name="name" label={t("name")} rules={[{ required: true, message: t("nameMissing") }]}>
        <Input autoComplete="name" autoFocus />
      </Form.Item>
      <NewPassword />
    </ApiForm>
  );
}

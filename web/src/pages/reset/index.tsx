/** Choose a new password with the one-time link that an administrator gave. */
import { Alert } from "antd";
import { useTranslation } from "react-i18next";
import { useLocation, useNavigate, useSearchParams } from "react-router";
import { sessionApi } from "../../api";
import { NewPassword } from "../../app/AccountDialog";
import { tokenOf } from "../../app/address";
import { Door } from "../../app/Door";
import { useSessionContext } from "../../app/session";
import { ApiForm } from "../../ui";
import en from "./en.json";
import zh from "./zh.json";

export const texts = { en, zh };

export default function ResetPage() {
  const { t } = useTranslation("reset");
  const { accept } = useSessionContext();
  const { hash } = useLocation();
  const [search] = useSearchParams();
  const navigate = useNavigate();
  const token = tokenOf(hash, search);
  const submit = async ({ password }: { password: string }) => {
    accept(await sessionApi.resetPassword({ token, password }));
    void navigate("/", { replace: true });
  };
  return (
    <Door title={t("title")} intro={t("intro")}>
      {token ? (
        <ApiForm<{ password: string }> submit={t("submit")} onSubmit={submit}>
          <NewPassword />
        </ApiForm>
      ) : (
        <Alert type="warning" showIcon title={t("noToken")} description={t("noTokenNext")} />
      )}
    </Door>
  );
}

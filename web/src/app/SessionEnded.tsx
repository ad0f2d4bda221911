/** The session ended on the server: sign in again over the page, which keeps everything that was typed. */
import { Modal } from "antd";
import { useTranslation } from "react-i18next";
import { SignInForm } from "./SignInForm";
import { useSessionContext, useSignedIn } from "./session";

export function SessionEnded() {
  const { t } = useTranslation();
  const { expired, accept } = useSessionContext();
  const { oidc, user } = useSignedIn();
  return (
    <Modal open={expired} title={t("sessionEnded.title")} footer={null} closable={false} keyboard={false} destroyOnHidden>
      <p>{t("sessionEnded.next")}</p>
      <SignInForm oidc={oidc} email={user.email} beside onSignedIn={accept} />
    </Modal>
  );
}

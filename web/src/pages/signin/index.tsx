/** Sign in with e-mail and password or through the organization's own provider. */
import { Alert } from "antd";
import { useTranslation } from "react-i18next";
import { Navigate, useNavigate, useSearchParams } from "react-router";
import { nextPath } from "../../app/address";
import { Door } from "../../app/Door";
import { SignInForm } from "../../app/SignInForm";
import { useSessionContext } from "../../app/session";
import en from "./en.json";
import zh from "./zh.json";

export const texts = { en, zh };

export default function SignInPage() {
  const { t } = useTranslation("signin");
  const { session, accept } = useSessionContext();
  const [search] = useSearchParams();
  const navigate = useNavigate();
  if (session.signed_in) return <Navigate to={nextPath(search)} replace />;
  if (session.setup_needed) return <Navigate to="/setup" replace />;
  const code = search.get("error");
  return (
    <Door title={t("title")}>
      {code && (
        <Alert
          type="error"
          showIcon
          role="alert"
          className="form-error"
          title={t([`oidc.${code}`, "oidc.other"])}
          description={t("oidc.next", { code })}
        />
      )}
      <SignInForm
        oidc={session.oidc}
        onSignedIn={(next) => {
          accept(next);
          void navigate(nextPath(search), { replace: true });
        }}
      />
      <p className="quiet">{t("forgotten")}</p>
    </Door>
  );
}

import { Button, Result } from "antd";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { useDocumentTitle } from "../ui";

export function NotFound() {
  const { t } = useTranslation();
  useDocumentTitle(t("notFound.title"));
  return (
    <Result
      status="404"
      title={<h1 className="result-title">{t("notFound.title")}</h1>}
      subTitle={t("notFound.next")}
      extra={
        <Link to="/">
          <Button type="primary" tabIndex={-1}>
            {t("notFound.home")}
          </Button>
        </Link>
      }
    />
  );
}

import { Flex, Spin } from "antd";
import { useTranslation } from "react-i18next";

export function Loading() {
  const { t } = useTranslation();
  return (
    <Flex justify="center" align="center" className="loading" role="status" aria-label={t("ui.loading")}>
      <Spin size="large" />
    </Flex>
  );
}

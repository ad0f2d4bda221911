/** The frame of a page: one h1, its document title, help, and what to show when there is nothing or an error. */
import { QuestionCircleOutlined } from "@ant-design/icons";
import { Alert, Button, Card, Empty, Flex, Skeleton, Typography } from "antd";
import { useEffect, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { ApiError, ConnectionLost } from "../api";

export function useDocumentTitle(title: string): void {
  useEffect(() => {
    document.title = title ? `${title} · Plinth` : "Plinth";
  }, [title]);
}

interface PageHeaderProps {
  title: string;
  /** One sentence under the title: what this page is for. */
  intro?: ReactNode;
  /** Path of a guide inside the console, such as "docs/quickstart". */
  help?: string;
  actions?: ReactNode;
}

/** Every page begins with this; it holds the page's only h1. */
export function PageHeader({ title, intro, help, actions }: PageHeaderProps) {
  const { t } = useTranslation();
  useDocumentTitle(title);
  return (
    <Flex justify="space-between" align="start" gap={16} wrap className="page-header">
      <div>
        <Flex align="center" gap={8}>
          <Typography.Title level={1}>{title}</Typography.Title>
          {help && (
            <Link to={`/${help}`} aria-label={t("ui.helpOn", { title })} title={t("ui.help")}>
              <QuestionCircleOutlined />
            </Link>
          )}
        </Flex>
        {intro && <Typography.Paragraph type="secondary">{intro}</Typography.Paragraph>}
      </div>
      {actions && <Flex gap={8}>{actions}</Flex>}
    </Flex>
  );
}

/** A part of a page with its own heading (h2). */
export function Section({ title, extra, children }: { title: ReactNode; extra?: ReactNode; children: ReactNode }) {
  return (
    <Card className="section" title={<h2>{title}</h2>} extra={extra}>
      {children}
    </Card>
  );
}

interface EmptyStateProps {
  /** What is not there. */
  title: string;
  /** What to do next. */
  next?: ReactNode;
  action?: ReactNode;
}

export function EmptyState({ title, next, action }: EmptyStateProps) {
  return (
    <Empty
      image={Empty.PRESENTED_IMAGE_SIMPLE}
      description={
        <Flex vertical gap={4} align="center">
          <strong>{title}</strong>
          {next && <span className="quiet">{next}</span>}
        </Flex>
      }
    >
      {action}
    </Empty>
  );
}

/** The sentence for any error: the API's own where there is one. */
export function useErrorText(): (error: unknown) => string {
  const { t } = useTranslation();
  return (error) => {
    if (error instanceof ApiError) return error.message;
    if (error instanceof ConnectionLost) return t("errors.connectionLost");
    return t("errors.unexpected");
  };
}

/** Says what went wrong and what to do. */
export function ErrorState({ error, retry }: { error: unknown; retry?: () => void }) {
  const { t } = useTranslation();
  const textOf = useErrorText();
  const hint = error instanceof ApiError ? hintFor(error) : "unexpected";
  const requestId = error instanceof ApiError ? error.requestId : null;
  return (
    <Alert
      type="error"
      showIcon
      role="alert"
      title={textOf(error)}
      description={
        <>
          {t(`errors.hints.${hint}`)}
          {requestId && <div className="quiet">{t("errors.requestId", { id: requestId })}</div>}
        </>
      }
      action={retry && <Button onClick={retry}>{t("errors.retry")}</Button>}
    />
  );
}

function hintFor(error: ApiError): string {
  if (error.status === 403) return "forbidden";
  if (error.status === 404) return "notFound";
  if (error.status === 429) return "tooMany";
  return error.status >= 500 ? "server" : "request";
}

interface LoadedProps<Data> {
  query: { data: Data | undefined; error: unknown; refetch: () => unknown };
  children: (data: Data) => ReactNode;
  rows?: number;
}

/** A skeleton, the error, or the data of a query. Data that is already there stays while it is fetched again. */
export function Loaded<Data>({ query, children, rows = 3 }: LoadedProps<Data>) {
  const { t } = useTranslation();
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.error) return <ErrorState error={query.error} retry={() => void query.refetch()} />;
  return (
    <div role="status" aria-label={t("ui.loading")}>
      <Skeleton active paragraph={{ rows }} title={false} />
    </div>
  );
}

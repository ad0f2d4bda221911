/** A page that fails says so and offers a way on; the rest of the console goes on working. */
import { Button, Result } from "antd";
import { Component, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useDocumentTitle } from "../ui";

interface Props {
  children: ReactNode;
  /** A change of this shows the children again. */
  resetKey?: string;
}

export class ErrorBoundary extends Component<Props, { error: unknown }> {
  override state: { error: unknown } = { error: null };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override componentDidUpdate(before: Props) {
    if (before.resetKey !== this.props.resetKey && this.state.error !== null) this.setState({ error: null });
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    return <Failure error={this.state.error} />;
  }
}

/** After an upgrade the old page's files are gone; a reload brings the new console. */
function isOldPage(error: unknown): boolean {
  return error instanceof Error && /module script|dynamically imported|preload/i.test(error.message);
}

function Failure({ error }: { error: unknown }) {
  const { t } = useTranslation();
  const kind = isOldPage(error) ? "oldPage" : "broken";
  const title = t(`errors.${kind}.title`);
  useDocumentTitle(title);
  return (
    <div role="alert">
      <Result
        status="warning"
        title={<h1 className="result-title">{title}</h1>}
        subTitle={
          <>
            <p>{t(`errors.${kind}.next`)}</p>
            {kind === "broken" && <code>{String(error)}</code>}
          </>
        }
        extra={
          <Button type="primary" onClick={() => window.location.reload()}>
            {t("errors.reload")}
          </Button>
        }
      />
    </div>
  );
}

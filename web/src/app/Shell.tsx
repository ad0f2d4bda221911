/** The frame of every page inside: navigation, top bar, the page. Strangers are sent to the door. */
import { Layout } from "antd";
import { Suspense, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Navigate, Outlet, useLocation, useSearchParams } from "react-router";
import { CommandPalette } from "./CommandPalette";
import { ErrorBoundary } from "./ErrorBoundary";
import { Loading } from "./Loading";
import { Navigation } from "./Navigation";
import { SessionEnded } from "./SessionEnded";
import { ShortcutSheet } from "./ShortcutSheet";
import { TopBar } from "./TopBar";
import { useSessionContext } from "./session";

export function Shell() {
  const { session } = useSessionContext();
  const location = useLocation();
  if (session.signed_in) return <Frame />;
  if (session.setup_needed) return <Navigate to={{ pathname: "/setup", hash: location.hash }} replace />;
  const next = location.pathname + location.search;
  return <Navigate to={next === "/" ? "/signin" : `/signin?next=${encodeURIComponent(next)}`} replace />;
}

const COLLAPSED = "plinth.navigation";

function Frame() {
  const { t } = useTranslation();
  const { project } = useSessionContext();
  const { pathname } = useLocation();
  const [collapsed, setCollapsed] = useState(() => localStorage.getItem(COLLAPSED) === "collapsed");
  useProjectLink();
  const collapse = (next: boolean) => {
    localStorage.setItem(COLLAPSED, next ? "collapsed" : "open");
    setCollapsed(next);
  };
  return (
    <Layout className="shell">
      <a className="skip-link" href="#main">
        {t("shell.skip")}
      </a>
      <Navigation collapsed={collapsed} onCollapse={collapse} />
      <Layout>
        <TopBar />
        <Layout.Content className="content" id="main" tabIndex={-1}>
          {/* the key: nothing typed for one project is shown in another */}
          <ErrorBoundary key={project?.id ?? ""} resetKey={pathname}>
            <Suspense fallback={<Loading />}>
              <Outlet />
            </Suspense>
          </ErrorBoundary>
        </Layout.Content>
      </Layout>
      <CommandPalette />
      <ShortcutSheet />
      <SessionEnded />
    </Layout>
  );
}

/** `?project=proj_…` in a shared link chooses the project (see session.tsx) and need not stay in the address. */
function useProjectLink(): void {
  const [query, setQuery] = useSearchParams();
  const { chooseProject } = useSessionContext();
  const asked = query.get("project");
  useEffect(() => {
    if (asked === null) return;
    chooseProject(asked);
    setQuery(
      (before) => {
        before.delete("project");
        return before;
      },
      { replace: true },
    );
  }, [asked, chooseProject, setQuery]);
}

/** Who is signed in, in which project, and what they may do there. */
import { useQuery, useQueryClient, type QueryClient } from "@tanstack/react-query";
import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import { onRefusal, sessionApi, setCallContext, type Session, type SessionProject, type SignedIn } from "../api";
import { chooseLanguage, storedLanguage } from "../i18n";
import { live } from "./live";

const KEY = ["session"];
// a tab keeps its own project; a new one starts with the last that was chosen anywhere
const STORED = "plinth.project";

interface SessionContext {
  session: Session;
  /** The session ended on the server while the page was open. */
  expired: boolean;
  project: SessionProject | null;
  chooseProject: (id: string) => void;
  /** After signing in: takes what the API answered. */
  accept: (session: Session) => void;
}

const Context = createContext<SessionContext | null>(null);

function storedProject(): string | null {
  const asked = new URLSearchParams(window.location.search).get("project");
  return asked ?? sessionStorage.getItem(STORED) ?? localStorage.getItem(STORED);
}

export function useSessionQuery() {
  return useQuery({ queryKey: KEY, queryFn: ({ signal }) => sessionApi.get(signal), staleTime: 60_000 });
}

export function SessionProvider({ session, children }: { session: Session; children: ReactNode }) {
  const client = useQueryClient();
  const [expired, setExpired] = useState(false);
  const [projectId, setProjectId] = useState(storedProject);

  useEffect(() => {
    onRefusal({
      signedOut: () => setExpired(true),
      staleToken: async () => {
        client.setQueryData(KEY, await sessionApi.get());
      },
    });
  }, [client]);

  const language = session.signed_in ? session.user.language : null;
  useEffect(() => {
    if (language && !storedLanguage()) void chooseLanguage(language, false);
  }, [language]);

  const projects = session.signed_in ? session.projects : [];
  const project = projects.find((item) => item.id === projectId) ?? projects[0] ?? null;
  // calls of this very render must carry it
  setCallContext({ projectId: project?.id ?? "" });

  const chooseProject = useCallback(
    (id: string) => {
      sessionStorage.setItem(STORED, id);
      localStorage.setItem(STORED, id);
      setCallContext({ projectId: id });
      forget(client);
      live.restart();
      setProjectId(id);
    },
    [client],
  );
  const accept = useCallback(
    (next: Session) => {
      const before = client.getQueryData<Session>(KEY);
      const samePerson = before?.signed_in && next.signed_in && before.user.id === next.user.id;
      if (!samePerson) forget(client);
      client.setQueryData(KEY, next);
      setExpired(false);
      // what failed while nobody was signed in
      if (samePerson) void client.invalidateQueries({ predicate: (query) => query.queryKey[0] !== KEY[0] });
    },
    [client],
  );
  const value = useMemo(
    () => ({ session, expired, project, chooseProject, accept }),
    [session, expired, project, chooseProject, accept],
  );
  return <Context value={value}>{children}</Context>;
}

/** Nothing that was read in one project may be shown in another. */
function forget(client: QueryClient): void {
  client.removeQueries({ predicate: (query) => query.queryKey[0] !== KEY[0] });
}

export function useSessionContext(): SessionContext {
  const context = useContext(Context);
  if (!context) throw new Error("outside SessionProvider");
  return context;
}

/** The signed-in person; only for pages inside the shell, which are not shown to strangers. */
export function useSignedIn(): SignedIn {
  const { session } = useSessionContext();
  if (!session.signed_in) throw new Error("nobody is signed in");
  return session;
}

/** The chosen project; null for a person without one. */
export function useProject(): SessionProject | null {
  return useSessionContext().project;
}

/** Whether to show something. The API decides whether it works. */
export function useMay(): (...permissions: string[]) => boolean {
  const { session, project } = useSessionContext();
  const held = useMemo(
    () => new Set([...(project?.permissions ?? []), ...(session.signed_in ? session.organization_permissions : [])]),
    [session, project],
  );
  return useCallback((...permissions: string[]) => permissions.some((permission) => held.has(permission)), [held]);
}

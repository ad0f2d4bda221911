/** Who is signed in, in which project, and what they may do there. */
import { useQuery, useQueryClient, type QueryClient } from "@tanstack/react-query";
import { createContext, useCallback, useContext, useEffect, useMemo, useState, useSyncExternalStore, type ReactNode } from "react";
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

/** Whether the session of this page ended on the server. The page stays as it is, with all that was typed. */
class Ended {
  private ended = false;
  private readonly listeners = new Set<() => void>();

  readonly get = () => this.ended;

  readonly subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  set(ended: boolean): void {
    this.ended = ended;
    for (const listener of [...this.listeners]) listener();
  }
}

const ended = new Ended();

/** Asks who is signed in. Nobody any more: the page keeps the person it was opened by, who signs in again over it. */
async function refreshed(client: QueryClient, signal?: AbortSignal): Promise<Session> {
  const before = client.getQueryData<Session>(KEY);
  const now = await sessionApi.get(signal);
  if (before?.signed_in && !now.signed_in) {
    ended.set(true);
    return before;
  }
  // signed in again in another tab; as somebody else: nothing that was read may stay
  if (before?.signed_in && now.signed_in && before.user.id !== now.user.id) forget(client);
  ended.set(false);
  return now;
}

export function useSessionQuery() {
  const client = useQueryClient();
  return useQuery({ queryKey: KEY, queryFn: ({ signal }) => refreshed(client, signal), staleTime: 60_000 });
}

export function SessionProvider({ session, children }: { session: Session; children: ReactNode }) {
  const client = useQueryClient();
  const expired = useSyncExternalStore(ended.subscribe, ended.get);
  const [projectId, setProjectId] = useState(storedProject);

  useEffect(() => {
    onRefusal({
      signedOut: () => ended.set(true),
      staleToken: async () => {
        client.setQueryData(KEY, await refreshed(client));
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
      ended.set(false);
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

/** The signed-in person: who they are, what they may do, in which projects. Nothing of it is stored in the browser. */
import { call, setCallContext } from "./client";

export type Language = "zh" | "en";

export interface SessionUser {
  id: string;
  email: string;
  name: string;
  role: string;
  language: Language;
}

export interface SessionProject {
  id: string;
  name: string;
  role: string;
  permissions: string[];
}

export interface OidcProvider {
  id: string;
  name: string;
}

export interface Stranger {
  signed_in: false;
  setup_needed: boolean;
  oidc: OidcProvider[];
  version: string;
}

export interface SignedIn {
  signed_in: true;
  setup_needed: boolean;
  oidc: OidcProvider[];
  version: string;
  csrf_token: string;
  user: SessionUser;
  organization: { id: string; name: string };
  organization_permissions: string[];
  projects: SessionProject[];
}

export type Session = Stranger | SignedIn;

export interface Invitation {
  email: string;
  organization: string;
  expired: boolean;
}

export interface OwnSession {
  id: string;
  device: string;
  created_at: number;
  last_seen_at: number;
  current: boolean;
}

/** `sample`: `failed` means that everything else is there, and the server's log says why. */
export type SetupDone = SignedIn & { sample: "loaded" | "failed" | "skipped" };

export interface Setup {
  token: string;
  organization: string;
  name: string;
  email: string;
  password: string;
  language: Language;
  sample: boolean;
}

function taken<Answer extends Session>(session: Answer): Answer {
  setCallContext({ csrfToken: session.signed_in ? session.csrf_token : "" });
  return session;
}

export const sessionApi = {
  get: async (signal?: AbortSignal) => taken(await call<Session>("get", "/api/session", signal ? { signal } : {})),
  signIn: async (body: { email: string; password: string }) =>
    taken(await call<Session>("post", "/api/session", { body })),
  signOut: () => call("delete", "/api/session"),
  setup: async (body: Setup) => taken(await call<SetupDone>("post", "/api/setup", { body })),
  invitation: (token: string) => call<Invitation>("get", "/api/invitations/{token}", { path: { token } }),
  acceptInvitation: async (body: { token: string; name: string; password: string }) =>
    taken(await call<Session>("post", "/api/invitations/accept", { body })),
  resetPassword: async (body: { token: string; password: string }) =>
    taken(await call<Session>("post", "/api/password_reset", { body })),
  changeUser: async (body: { name?: string; language?: Language }) =>
    taken(await call<Session>("patch", "/api/session/user", { body })),
  changePassword: (body: { current: string; new: string }) => call("post", "/api/session/password", { body }),
  ownSessions: () => call<{ data: OwnSession[] }>("get", "/api/sessions"),
  endSession: (id: string) => call("delete", "/api/sessions/{id}", { path: { id } }),
  /** For the playground: a token of ten minutes for model calls in the chosen project. */
  token: () => call<{ token: string; expires_at: number }>("post", "/api/session/token", { scope: "project" }),
  passwordResetFor: (userId: string) =>
    call<{ token: string; expires_at: number }>("post", "/api/users/{userId}/password_reset", { path: { userId } }),
};

import type { paths, Wire } from "../../api";

export type Version = paths["/api/versions/{version}"]["get"]["responses"][200]["content"]["application/json"];
export type Alias = Wire<"AliasObject">;
export type AliasChange = Wire<"AliasChangeObject">;
export type Deployment = Wire<"DeploymentObject">;
export type Route = Wire<"RouteObject">;

export const VERSIONS_KEY = ["model-versions"];
export const ALIASES_KEY = ["aliases"];

/** A version's page; its id has colons. */
export const linkTo = (id: string) => `/versions/${encodeURIComponent(id)}`;

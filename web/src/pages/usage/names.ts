/** Names of projects and keys, as far as this person may know them; else their ids. */
import { useQuery } from "@tanstack/react-query";
import { useCallback } from "react";
import { useTranslation } from "react-i18next";
import { allOf, api } from "../../api";
import { useMay, useProject, useSignedIn } from "../../app";
import { usePrincipals } from "../run";
import { idlePoolOf } from "./entries";
import type { Grouping } from "./view";

// keys are listed by project: a few calls, not hundreds
const MOST_PROJECTS = 30;

/** The text for a group of the report. */
export function useGroupNames(grouping: Grouping): (group: string) => string {
  const { t } = useTranslation("usage");
  const principal = usePrincipals();
  const projects = useProjectNames();
  const keys = useKeyNames(grouping === "key", projects);
  return useCallback(
    (group: string) => {
      if (group === "") return t(`unnamed.${grouping}`);
      const pool = idlePoolOf(group);
      if (pool !== null) return t("idle", { pool });
      if (grouping === "project") return projects.get(group) ?? group;
      if (grouping === "user") return principal(group);
      if (grouping === "key") return group.startsWith("session:") ? t("console") : (keys.get(group) ?? group);
      return group;
    },
    [t, principal, projects, keys, grouping],
  );
}

export function useProjectNames(): ReadonlyMap<string, string> {
  const { projects } = useSignedIn();
  const all = useQuery({
    queryKey: ["projects", "names"],
    enabled: useMay()("organization:read"),
    staleTime: 60_000,
    queryFn: async ({ signal }) => {
      const found = await allOf(
        ({ after, limit, signal }) =>
          api.get("/v1/organization/projects", { query: { after, limit, include_archived: true }, signal }),
        signal,
      );
      return new Map(found.map((project) => [project.id, project.name]));
    },
  });
  return all.data ?? new Map(projects.map((project) => [project.id, project.name]));
}

function useKeyNames(wanted: boolean, projects: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const chosen = useProject()?.id;
  const ids = [...projects.keys()].sort((a, b) => Number(b === chosen) - Number(a === chosen)).slice(0, MOST_PROJECTS);
  const keys = useQuery({
    queryKey: ["keys", "names", ids],
    enabled: useMay()("organization:read") && wanted,
    staleTime: 60_000,
    queryFn: async ({ signal }) => {
      const lists = await Promise.all(
        ids.map(async (project_id) => {
          const found = await allOf(
            ({ after, limit, signal }) =>
              api.get("/v1/organization/projects/{project_id}/api_keys", { path: { project_id }, query: { after, limit }, signal }),
            signal,
          );
          return found.map((key) => [key.id, `${key.name} · ${projects.get(project_id) ?? project_id}`] as const);
        }),
      );
      return new Map(lists.flat());
    },
  });
  return keys.data ?? new Map<string, string>();
}

/** What the pages of this folder ask the API for. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import { allOf, api } from "../../api";
import { useChanges, useMay } from "../../app";
import { useRoutes } from "../run";
import { usesOf } from "./uses";
import { ALIASES_KEY, VERSIONS_KEY, type Version } from "./types";

const MOST_VERSIONS = 1000;
const CHANGES = ["registry.", "serving.", "gateway.route."];

export function useAliases() {
  return useQuery({
    queryKey: ALIASES_KEY,
    queryFn: async ({ signal }) => (await api.get("/api/aliases", { signal })).data,
  });
}

export function useDeployments() {
  return useQuery({
    queryKey: ["deployments", "all"],
    enabled: useMay()("serving:read"),
    queryFn: ({ signal }) =>
      allOf(({ signal, ...query }) => api.get("/api/deployments", { query, signal }), signal),
  });
}

function useAllVersions() {
  return useQuery({
    queryKey: [...VERSIONS_KEY, "all"],
    queryFn: ({ signal }) =>
      allOf<Version>(({ signal, ...query }) => api.get("/api/versions", { query, signal }), signal, MOST_VERSIONS),
  });
}

/** What depends on the version; `known` says whether everything that this person may see has been asked. */
export function useUses(version: Version) {
  const [aliases, routes, deployments, versions] = [useAliases(), useRoutes(), useDeployments(), useAllVersions()];
  const uses = usesOf(version, {
    aliases: aliases.data ?? [],
    routes: routes.data ?? [],
    deployments: deployments.data ?? [],
    versions: versions.data ?? [],
  });
  return { uses, known: [aliases, routes, deployments, versions].every((query) => !query.isLoading) };
}

/** Fetches what these pages show again, now and whenever the platform says that it changed. */
export function useRefresh(): () => Promise<unknown> {
  const client = useQueryClient();
  const refresh = useCallback(
    () =>
      Promise.all(
        [VERSIONS_KEY, ALIASES_KEY, ["deployments"], ["models"]].map((queryKey) => client.invalidateQueries({ queryKey })),
      ),
    [client],
  );
  useChanges(
    CHANGES,
    useCallback(() => void refresh(), [refresh]),
  );
  return refresh;
}

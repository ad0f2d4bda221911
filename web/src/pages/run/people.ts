/** Who a principal is, in words. Names of other people are known to those who may read the organization. */
import { useQuery } from "@tanstack/react-query";
import { useCallback } from "react";
import { useTranslation } from "react-i18next";
import { allOf, api } from "../../api";
import { useMay, useSignedIn } from "../../app";

/** Turns `user:…`, a bare user id, `service_account:…` and the like into text; what is unknown stays as it is. */
export function usePrincipals(): (principal: string) => string {
  const { t } = useTranslation("run");
  const { user } = useSignedIn();
  const people = useQuery({
    queryKey: ["people", "names"],
    enabled: useMay()("organization:read"),
    staleTime: 60_000,
    queryFn: async ({ signal }) => {
      const users = await allOf(
        ({ after, limit, signal }) => api.get("/v1/organization/users", { query: { after, limit }, signal }),
        signal,
      );
      return new Map(users.map((item) => [item.id, item.name || item.email || item.id]));
    },
  });
  const names = people.data;
  return useCallback(
    (principal: string) => {
      const [kind, id] = principal.includes(":") ? (principal.split(/:(.*)/s) as [string, string]) : ["user", principal];
      if (kind === "user" && id === user.id) return t("you", { name: user.name });
      if (kind === "user" && names?.has(id)) return names.get(id) ?? principal;
      if (kind === "service_account") return t("serviceAccount", { name: id });
      if (kind === "admin_key") return t("adminKey", { name: id });
      if (principal === "system" || principal === "internal") return t(principal);
      return principal;
    },
    [names, t, user],
  );
}

/** The way back to an earlier version of a route. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api } from "../../api";
import { useNotify } from "../../ui";

/** One click: a new version with the plan of an earlier one (null: of the one before the current one). */
export function useRollback(name: string, current: number | null) {
  const { t } = useTranslation("deploy");
  const client = useQueryClient();
  const notify = useNotify();
  return useMutation({
    mutationFn: (version: number | null) =>
      api.post("/api/routes/{name}/rollback", { path: { name }, body: { version, expected_version: current } }),
    onSuccess: (route) => {
      client.setQueryData(["routes", "one", name], route);
      void client.invalidateQueries({ queryKey: ["routes"] });
      notify.success(t("route.rolledBack", { name, version: route.version }));
    },
    onError: (error) => notify.failure(error),
  });
}

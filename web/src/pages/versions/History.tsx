/** Every move of a name, newest first; each can be gone back to. */
import { useQuery } from "@tanstack/react-query";
import { Drawer } from "antd";
import { useTranslation } from "react-i18next";
import { api } from "../../api";
import { useMay } from "../../app";
import { ConfirmDanger, Loaded, Time, useNotify } from "../../ui";
import { usePrincipals } from "../run";
import { Target } from "./Names";
import { useAliases, useRefresh } from "./queries";
import { ALIASES_KEY, type AliasChange } from "./types";

export function History({ name, onClose }: { name: string | null; onClose: () => void }) {
  const { t } = useTranslation("versions");
  return (
    <Drawer open={name !== null} title={t("history.title", { name })} onClose={onClose} size="large" destroyOnHidden>
      {name !== null && <Changes name={name} />}
    </Drawer>
  );
}

function Changes({ name }: { name: string }) {
  const { t } = useTranslation("versions");
  const who = usePrincipals();
  const now = useAliases().data?.find((alias) => alias.name === name)?.target;
  const query = useQuery({
    queryKey: [...ALIASES_KEY, name, "history"],
    queryFn: async ({ signal }) => (await api.get("/api/aliases/{name}/history", { path: { name }, signal })).data,
  });
  return (
    <Loaded query={query}>
      {(changes) => (
        <table className="matrix">
          <caption>{t("history.caption")}</caption>
          <thead>
            <tr>
              <th scope="col">{t("history.when")}</th>
              <th scope="col">{t("history.meant")}</th>
              <th scope="col">{t("history.who")}</th>
              <th scope="col">
                <span className="unseen">{t("names.actions")}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {changes.map((change) => (
              <tr key={change.id}>
                <th scope="row">
                  <Time at={change.created_at} absolute />
                </th>
                <td>{change.target === null ? t("history.deleted") : <Target id={change.target} />}</td>
                <td>{who(change.changed_by)}</td>
                <td>{change.target === now ? t("history.now") : <GoBack name={name} change={change} now={now} />}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Loaded>
  );
}

function GoBack({ name, change, now }: { name: string; change: AliasChange; now: string | undefined }) {
  const { t } = useTranslation("versions");
  const may = useMay()("models:write");
  const notify = useNotify();
  const refresh = useRefresh();
  if (!may || change.target === null) return null;
  return (
    <ConfirmDanger
      size="small"
      action={t("history.back")}
      title={t("history.backTitle", { name })}
      touches={[
        t("history.backTouches", { name }),
        t("point.movesFrom", { from: now ?? t("history.deleted"), to: change.target }),
      ]}
      onConfirm={async () => {
        const alias = await api.post("/api/aliases/{name}/rollback", { path: { name }, body: { to: change.id } });
        notify.success(t("point.done", { name }), t("point.doneNext", { target: alias.target }));
        await refresh();
      }}
    />
  );
}

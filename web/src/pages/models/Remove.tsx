/** Deletes an entry, after saying what uses it and which files go. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { api } from "../../api";
import { useMay } from "../../app";
import { ConfirmDanger, useNotify } from "../../ui";
import { dependantsOf, type Dependants } from "./dependants";
import { BASES, scopeOf, sourceOf, type BaseModel } from "./model";

export function Remove({ base }: { base: BaseModel }) {
  const { t } = useTranslation("models");
  const navigate = useNavigate();
  const client = useQueryClient();
  const notify = useNotify();
  const remove = async () => {
    await api.delete("/api/base_models/{base_id}", { path: { base_id: base.id }, scope: scopeOf(base) });
    notify.success(t("remove.done", { id: base.id }));
    void navigate("/models");
    // the one that is gone must not be asked for again
    client.removeQueries({ queryKey: [...BASES, "one", base.id] });
    await client.invalidateQueries({ queryKey: [...BASES, "list"] });
  };
  return (
    <ConfirmDanger
      action={t("remove.action")}
      title={t("remove.title", { id: base.id })}
      typeToConfirm={base.id}
      touches={[
        t("remove.entry", { id: base.id }),
        t(`remove.files.${sourceOf(base).kind}`),
        ...(base.scope === "organization" ? [t("remove.organization")] : []),
        <Users key="users" base={base} />,
      ]}
      onConfirm={remove}
    />
  );
}

const KINDS: readonly (keyof Dependants)[] = ["deployments", "routes", "names", "versions", "jobs"];

/** Asked for when the dialog is open. */
function Users({ base }: { base: BaseModel }) {
  const { t } = useTranslation("models");
  const may = useMay();
  const query = useQuery({
    queryKey: [...BASES, "dependants", base.id],
    queryFn: ({ signal }) => dependantsOf(base.id, may, signal),
    staleTime: 0,
  });
  if (query.error) return <>{t("remove.unknown")}</>;
  const found = query.data;
  if (!found) return <>{t("remove.asking")}</>;
  const used = KINDS.filter((kind) => found[kind].length > 0);
  if (used.length === 0) return <>{t("remove.unused")}</>;
  return (
    <>
      {t("remove.used")}
      <ul>
        {used.map((kind) => (
          <li key={kind}>{t(`remove.kinds.${kind}`, { count: found[kind].length, ids: found[kind].join(", ") })}</li>
        ))}
      </ul>
    </>
  );
}

/** Deleting says what will stop working. The API refuses it while a name points at the version. */
import { useTranslation } from "react-i18next";
import { api } from "../../api";
import { ConfirmDanger } from "../../ui";
import type { Version } from "./types";
import type { Uses } from "./uses";

interface DeleteVersionProps {
  version: Version;
  uses: Uses;
  disabled: boolean;
  onDeleted: () => Promise<unknown>;
}

export function DeleteVersion({ version, uses, disabled, onDeleted }: DeleteVersionProps) {
  const { t } = useTranslation("versions");
  const listed = (names: readonly string[]) => names.join(", ");
  const touches = [
    t("delete.calls", { id: version.id }),
    ...(uses.aliases.length ? [t("delete.names", { names: listed(uses.aliases.map(({ name }) => name)) })] : []),
    ...(uses.deployments.length ? [t("delete.deployments", { count: uses.deployments.length, ids: listed(uses.deployments.map(({ id }) => id)) })] : []),
    ...(uses.routes.length ? [t("delete.routes", { names: listed(uses.routes.map(({ name }) => name)) })] : []),
    t("delete.shared"),
    t("delete.kept"),
  ];
  return (
    <ConfirmDanger
      action={t("delete.action")}
      title={t("delete.title")}
      touches={touches}
      disabled={disabled}
      typeToConfirm={version.id.split(":")[4] ?? version.id}
      onConfirm={async () => {
        await api.delete("/v1/models/{model}", { path: { model: version.id } });
        await onDeleted();
      }}
    />
  );
}

/** What each built-in role may do, as a table. */
import { CheckOutlined } from "@ant-design/icons";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { api } from "../../api";
import { useProject } from "../../app";
import { EmptyState, Loaded } from "../../ui";
import { useRoleName } from "./shared";

export function Roles() {
  const { t } = useTranslation("people");
  const project = useProject();
  const nameOf = useRoleName();
  const query = useQuery({
    queryKey: ["roles", project?.id],
    queryFn: ({ signal }) =>
      api.get("/v1/projects/{project_id}/roles", { path: { project_id: project?.id ?? "" }, signal }),
    enabled: project !== null,
  });
  if (!project) return <EmptyState title={t("noProject")} next={t("noProjectNext")} />;
  return (
    <Loaded query={query} rows={8}>
      {({ data }) => {
        const permissions = [...new Set(data.flatMap((role) => role.permissions))].sort();
        return (
          <div className="scroll" tabIndex={0} role="region" aria-label={t("tabs.roles")}>
            <table className="matrix">
              <caption>{t("roles.intro")}</caption>
              <thead>
                <tr>
                  <th scope="col">{t("roles.permission")}</th>
                  {data.map((role) => (
                    <th scope="col" key={role.id}>
                      {nameOf(role.name)}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {permissions.map((permission) => (
                  <tr key={permission}>
                    <th scope="row">
                      {t(`roles.permissions.${permission.replace(":", "_")}`, { defaultValue: permission })}{" "}
                      <code className="quiet">{permission}</code>
                    </th>
                    {data.map((role) => (
                      <td key={role.id}>
                        {role.permissions.includes(permission) ? (
                          <CheckOutlined aria-label={t("roles.yes")} />
                        ) : (
                          <span className="quiet" aria-label={t("roles.no")} role="img">
                            –
                          </span>
                        )}
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        );
      }}
    </Loaded>
  );
}

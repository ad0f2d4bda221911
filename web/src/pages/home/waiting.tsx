/** The list of what waits for a person; each line leads to where it is done. */
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { api } from "../../api";
import { useJobs, useMay } from "../../app";
import { EmptyState, Loaded, Section } from "../../ui";
import { useDeployments } from "./running";
import { todos } from "./todo";

const SHOWN = 8;

export function Waiting() {
  const { t } = useTranslation("home");
  const may = useMay();
  const mayServe = may("serving:read");
  const mayInvite = may("organization:read");
  const jobs = useJobs();
  const deployments = useDeployments();
  const routes = useQuery({
    queryKey: ["routes", "home"],
    queryFn: ({ signal }) => api.get("/api/routes", { query: { limit: 100 }, signal }),
    enabled: mayServe,
  });
  const invites = useQuery({
    queryKey: ["invites", "home"],
    queryFn: ({ signal }) => api.get("/v1/organization/invites", { query: { limit: 100, order: "desc" }, signal }),
    enabled: mayInvite,
  });
  const asked = [jobs, ...(mayServe ? [deployments, routes] : []), ...(mayInvite ? [invites] : [])];
  const failed = asked.find((query) => query.error !== null && query.data === undefined);
  const complete = asked.every((query) => query.data !== undefined);
  const found = complete
    ? todos(
        {
          jobs: jobs.data ?? [],
          deployments: deployments.data?.data ?? [],
          routes: routes.data?.data ?? [],
          invites: invites.data?.data ?? [],
        },
        Date.now() / 1000,
      )
    : undefined;
  const retry = () => Promise.all(asked.map((query) => query.refetch()));
  return (
    <Section title={t("waiting.title")}>
      <Loaded query={{ data: found, error: failed?.error ?? null, refetch: retry }}>
        {(list) =>
          list.length === 0 ? (
            <EmptyState title={t("waiting.none")} next={t("waiting.noneNext")} />
          ) : (
            <ul className="plain">
              {list.slice(0, SHOWN).map((item) => (
                <li key={item.kind + item.id} className="row">
                  <Link to={item.link}>{t(`waiting.kinds.${item.kind}`, { name: item.name })}</Link>
                  {item.reason && <div className="quiet">{item.reason}</div>}
                </li>
              ))}
              {list.length > SHOWN && <li className="quiet">{t("waiting.more", { count: list.length - SHOWN })}</li>}
            </ul>
          )
        }
      </Loaded>
    </Section>
  );
}

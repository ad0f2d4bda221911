/** Deployments and background jobs that are at work. */
import { useQuery } from "@tanstack/react-query";
import { Tag } from "antd";
import { useTranslation } from "react-i18next";
import { api } from "../../api";
import { JobList, useJobs, useMay } from "../../app";
import { EmptyState, Loaded, Section } from "../../ui";

const COLOURS: Record<string, string> = { ready: "success", starting: "processing", failed: "error" };

export function useDeployments() {
  const may = useMay();
  return useQuery({
    queryKey: ["deployments", "home"],
    queryFn: ({ signal }) => api.get("/api/deployments", { query: { limit: 100 }, signal }),
    enabled: may("serving:read"),
    refetchInterval: 15_000,
  });
}

export function Running() {
  const { t } = useTranslation("home");
  const may = useMay();
  const deployments = useDeployments();
  const jobs = useJobs();
  return (
    <Section title={t("running.title")}>
      {may("serving:read") && (
        <>
          <h3>{t("running.deployments")}</h3>
          <Loaded query={deployments}>
            {({ data }) => {
              const present = data.filter((item) => item.status !== "stopped");
              if (present.length === 0) {
                return <EmptyState title={t("running.noDeployments")} next={t("running.noDeploymentsNext")} />;
              }
              return (
                <ul className="plain">
                  {present.map((item) => (
                    <li key={item.id} className="row">
                      <Tag color={COLOURS[item.status] ?? "default"}>{t(`running.statuses.${item.status}`)}</Tag>
                      {item.model} <span className="quiet">{item.engine}</span>
                    </li>
                  ))}
                </ul>
              );
            }}
          </Loaded>
        </>
      )}
      <h3>{t("running.jobs")}</h3>
      <Loaded query={jobs}>
        {(all) => <JobList jobs={all.filter((job) => job.state === "active" || job.state === "paused")} />}
      </Loaded>
    </Section>
  );
}

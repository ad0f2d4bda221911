/** On an empty project: what turns the loop once, in order, each step with the page where it is done. */
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { api } from "../../api";
import { useJobs, useMay } from "../../app";
import { Section } from "../../ui";
import { useDeployments } from "./running";

const STEPS = ["data", "tune", "evaluate", "deploy", "playground"] as const;

export function FirstSteps() {
  const { t } = useTranslation("home");
  const may = useMay();
  const jobs = useJobs();
  const deployments = useDeployments();
  const datasets = useQuery({
    queryKey: ["datasets", "home"],
    queryFn: ({ signal }) => api.get("/api/datasets", { query: { limit: 1 }, signal }),
    enabled: may("data:read"),
  });
  if (!may("tuning:write") || jobs.data?.length !== 0 || deployments.data?.data.length !== 0) return null;
  const hasData = (datasets.data?.data.length ?? 0) > 0;
  return (
    <Section title={t("steps.title")}>
      <p>{t(hasData ? "steps.withData" : "steps.withoutData")}</p>
      <ol className="steps">
        {STEPS.map((step) => (
          <li key={step}>
            <Link to={`/${step}`}>{t(`steps.${step}`)}</Link>
          </li>
        ))}
      </ol>
    </Section>
  );
}

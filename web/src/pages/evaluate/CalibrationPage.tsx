/** One calibration, as the list of jobs links to it: how it went and what was measured on held-out rows. */
import { useQuery } from "@tanstack/react-query";
import { Alert } from "antd";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";
import { api } from "../../api";
import { stateOf } from "../../app/jobs/source";
import { JobProgress, Loaded, PageHeader, Section, Time } from "../../ui";

const LIVE_MS = 3000;

export function CalibrationPage() {
  const { calibrationId = "" } = useParams();
  const { t } = useTranslation("evaluate");
  const query = useQuery({
    queryKey: ["calibrations", calibrationId],
    queryFn: ({ signal }) => api.get("/api/calibrations/{calibration_id}", { path: { calibration_id: calibrationId }, signal }),
    refetchInterval: ({ state }) => (state.data && stateOf(state.data.status) === "active" ? LIVE_MS : false),
  });
  return (
    <>
      <PageHeader title={t("calibration.title", { name: query.data?.name ?? calibrationId })} intro={t("calibration.intro")} />
      <Loaded query={query}>
        {(found) => (
          <>
            {found.error && <Alert type="error" showIcon role="alert" className="form-error" title={t("calibration.failed")} description={found.error.message} />}
            {stateOf(found.status) === "active" && <JobProgress label={found.name} state="active" progress={null} />}
            <Section title={t("calibration.facts")}>
              <dl className="facts">
                <div>
                  <dt>{t("model")}</dt>
                  <dd>{found.model}</dd>
                </div>
                <div>
                  <dt>{t("status")}</dt>
                  <dd>{found.status}</dd>
                </div>
                <div>
                  <dt>{t("created")}</dt>
                  <dd>
                    <Time at={found.created_at} absolute />
                  </dd>
                </div>
              </dl>
            </Section>
            {found.report && (
              <Section title={t("calibration.measured")}>
                <pre className="scroll">{JSON.stringify(found.report, null, 2)}</pre>
              </Section>
            )}
          </>
        )}
      </Loaded>
    </>
  );
}

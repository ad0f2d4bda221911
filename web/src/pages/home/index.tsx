/** What runs, what waits for a person, what today costs, and how good the models in production are. */
import { useTranslation } from "react-i18next";
import { useMay, useProject, useSignedIn } from "../../app";
import { EmptyState, PageHeader } from "../../ui";
import { CostToday } from "./cost";
import en from "./en.json";
import { Quality } from "./quality";
import { Running } from "./running";
import { FirstSteps } from "./steps";
import { Waiting } from "./waiting";
import zh from "./zh.json";

export const texts = { en, zh };

export default function HomePage() {
  const { t } = useTranslation("home");
  const project = useProject();
  const may = useMay();
  const { user } = useSignedIn();
  if (!project) {
    return (
      <>
        <PageHeader title={t("title")} />
        <EmptyState title={t("noProject")} next={t("noProjectNext")} />
      </>
    );
  }
  return (
    <>
      <PageHeader title={t("title")} intro={t("intro", { name: user.name, project: project.name })} />
      <FirstSteps />
      <div className="cards">
        <Waiting />
        <Running />
        {may("usage:read") && <CostToday />}
        {may("evals:read") && <Quality />}
      </div>
    </>
  );
}

/** Tune: teach a base model with one's own examples. */
import { Route, Routes } from "react-router";
import en from "./en.json";
import { JobList } from "./JobList";
import { JobPage } from "./JobPage";
import { NewJob } from "./NewJob";
import zh from "./zh.json";

export const texts = { en, zh };

export default function TunePage() {
  return (
    <Routes>
      <Route index element={<JobList />} />
      <Route path="new" element={<NewJob />} />
      <Route path=":jobId" element={<JobPage />} />
    </Routes>
  );
}

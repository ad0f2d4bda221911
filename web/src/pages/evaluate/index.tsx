/** Evaluate: how good a model is, measured on examples that it was not trained on. */
import { Route, Routes } from "react-router";
import "../lab";
import { CalibrationPage } from "./CalibrationPage";
import { ComparePage } from "./ComparePage";
import en from "./en.json";
import { EvalList } from "./EvalList";
import { EvalPage } from "./EvalPage";
import { NewEval } from "./NewEval";
import { RunPage } from "./RunPage";
import zh from "./zh.json";

export const texts = { en, zh };

export default function EvaluatePage() {
  return (
    <Routes>
      <Route index element={<EvalList />} />
      <Route path="new" element={<NewEval />} />
      <Route path="calibrations/:calibrationId" element={<CalibrationPage />} />
      <Route path=":evalId" element={<EvalPage />} />
      <Route path=":evalId/compare" element={<ComparePage />} />
      <Route path=":evalId/runs/:runId" element={<RunPage />} />
    </Routes>
  );
}

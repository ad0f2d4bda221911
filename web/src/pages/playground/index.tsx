/** Playground: try models and routes, and look after batches. */
import { Navigate, Route, Routes } from "react-router";
import { BatchList, BatchPage } from "./Batches";
import en from "./en.json";
import { Playground } from "./Playground";
import "./styles.css";
import zh from "./zh.json";

export const texts = { en, zh };

export default function PlaygroundPage() {
  return (
    <Routes>
      <Route index element={<Playground />} />
      <Route path="batches" element={<BatchList />} />
      <Route path="batches/:batchId" element={<BatchPage />} />
      <Route path="*" element={<Navigate to="/playground" replace />} />
    </Routes>
  );
}

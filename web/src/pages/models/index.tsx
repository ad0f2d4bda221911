/** Base models: what there is, what each is good for and may be used for, and where it would run. */
import { useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import { Route, Routes } from "react-router";
import { useChanges } from "../../app";
import { AddModel } from "./add/AddModel";
import { Catalogue } from "./Catalogue";
import { Detail } from "./Detail";
import en from "./en.json";
import { BASES } from "./model";
import "./styles.css";
import zh from "./zh.json";

export const texts = { en, zh };

const KINDS = ["catalog."] as const;

export default function ModelsPage() {
  const client = useQueryClient();
  const refresh = useCallback(() => void client.invalidateQueries({ queryKey: BASES }), [client]);
  useChanges(KINDS, refresh);
  return (
    <Routes>
      <Route index element={<Catalogue />} />
      <Route path="add" element={<AddModel />} />
      <Route path=":id" element={<Detail />} />
    </Routes>
  );
}

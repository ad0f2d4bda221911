/** What the parts of this page ask the API for. */
import { useQuery } from "@tanstack/react-query";
import { api } from "../../api";
import { useMay } from "../../app";
import { BASES, priceOf, type Price } from "./model";

export function useBaseModels() {
  return useQuery({
    queryKey: [...BASES, "list"],
    queryFn: async ({ signal }) => (await api.get("/api/base_models", { signal })).data,
  });
}

/** The price in force of each model, for people who may see prices. */
export function usePrice(): (model: string) => Price | null {
  const may = useMay();
  const query = useQuery({
    queryKey: ["prices"],
    enabled: may("usage:read", "organization:read"),
    staleTime: 60_000,
    // in the project's name: whoever may read its usage may read the prices
    queryFn: async ({ signal }) => (await api.get("/api/prices", { scope: "project", signal })).data,
  });
  const prices = query.data ?? [];
  return (model) => priceOf(prices, model, Date.now() / 1000);
}

/** Everything that all pages stand in. */
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { RouterProvider } from "react-router";
import { ApiError } from "../api";
import { ErrorBoundary } from "./ErrorBoundary";
import { router } from "./router";
import { ThemeProvider } from "./settings";

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // the client waits for a lost connection by itself; a refusal stays one
      retry: (count, error) => count < 2 && error instanceof ApiError && error.status >= 500,
      networkMode: "always",
      staleTime: 5000,
      refetchOnWindowFocus: true,
    },
    mutations: { networkMode: "always" },
  },
});

export function App() {
  const { i18n } = useTranslation();
  useEffect(() => {
    // the API's sentences come in the chosen language
    const again = () => void client.invalidateQueries({ predicate: (query) => query.state.status === "error" });
    i18n.on("languageChanged", again);
    return () => i18n.off("languageChanged", again);
  }, [i18n]);
  return (
    <QueryClientProvider client={client}>
      <ThemeProvider>
        <ErrorBoundary>
          <RouterProvider router={router} />
        </ErrorBoundary>
      </ThemeProvider>
    </QueryClientProvider>
  );
}

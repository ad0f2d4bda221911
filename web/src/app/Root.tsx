/** Asks who is there before anything is shown, and says when the server is away. */
import { Flex } from "antd";
import type { ReactNode } from "react";
import { ErrorState } from "../ui";
import { ConnectionBar } from "./ConnectionBar";
import { Loading } from "./Loading";
import { SessionProvider, useSessionQuery } from "./session";

export function Root({ children }: { children: ReactNode }) {
  const query = useSessionQuery();
  return (
    <>
      <ConnectionBar />
      {query.data ? (
        <SessionProvider session={query.data}>{children}</SessionProvider>
      ) : query.error ? (
        <Flex justify="center" className="lonely">
          <ErrorState error={query.error} retry={() => void query.refetch()} />
        </Flex>
      ) : (
        <Loading />
      )}
    </>
  );
}

/** What the API did not like about a plan, shown beside the part that it named. */
import { createContext, useContext } from "react";
import { ApiError } from "../../api";

const Context = createContext<unknown>(null);

export const ProblemsOf = Context.Provider;

/** The API's sentence when it is about this place of the plan, or something inside of it. */
export function useProblem(at: string, exactly = false): string | null {
  const error = useContext(Context);
  if (!(error instanceof ApiError) || !error.param) return null;
  const param = error.param.replace(/\[(\w+)\]/g, ".$1");
  return param === at || (!exactly && param.startsWith(`${at}.`)) ? error.message : null;
}

export function Problem({ at, exactly = false }: { at: string; exactly?: boolean }) {
  const problem = useProblem(at, exactly);
  if (problem === null) return null;
  return (
    <div className="deploy-problem" role="alert">
      {problem}
    </div>
  );
}

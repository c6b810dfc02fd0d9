import type { ApiProblem } from "../api/problem";
import { Button } from "./Button";
import { inline } from "./text";

/** An error: what is wrong, and the mend. */
export function Problem({ problem, onRetry }: { problem: ApiProblem; onRetry?: () => void }) {
  return (
    <div className="problem" role="alert">
      <p>{inline(problem.message)}</p>
      {problem.mend !== "" && <p className="problem-mend">{inline(problem.mend)}</p>}
      <p className="problem-code">{problem.code}</p>
      {onRetry !== undefined && <Button onClick={onRetry}>Try again</Button>}
    </div>
  );
}

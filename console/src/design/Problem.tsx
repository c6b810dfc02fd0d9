import type { ApiProblem } from "../api/problem";
import { Alert } from "./Alert";
import { Button } from "./Button";

interface ProblemProps {
  problem: ApiProblem;
  onRetry?: () => void;
  /** It is being tried again. */
  retrying?: boolean;
}

/** An error of the API: what is wrong, and the mend. */
export function Problem({ problem, onRetry, retrying = false }: ProblemProps) {
  const again = retrying ? "Trying again …" : "Try again";
  return (
    <Alert
      mend={problem.mend}
      code={problem.code}
      action={onRetry !== undefined && <Button onClick={onRetry}>{again}</Button>}
    >
      {problem.message}
    </Alert>
  );
}

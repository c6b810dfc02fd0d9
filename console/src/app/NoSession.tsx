import type { ApiProblem } from "../api/problem";
import { Button } from "../design/Button";
import { Problem } from "../design/Problem";

interface NoSessionProps {
  problem: ApiProblem;
  onRetry: () => void;
  onReader: () => void;
}

/** Why no session could be opened, and what can be done without the printed URL. */
export function NoSession({ problem, onRetry, onReader }: NoSessionProps) {
  return (
    <main className="key-form">
      <h1>Covey console</h1>
      <Problem problem={problem} onRetry={onRetry} />
      <p>
        Without the token of the URL that the command printed, one may look at everything and change nothing.
      </p>
      <Button onClick={onReader}>Open as a reader</Button>
    </main>
  );
}

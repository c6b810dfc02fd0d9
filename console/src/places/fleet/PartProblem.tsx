import { inline } from "../../design/text";

/** Why one part of the fleet's state cannot be read. */
export function PartProblem({ problem }: { problem: string | null }) {
  return problem === null ? null : (
    <div className="problem" role="alert">
      <p>{inline(problem)}</p>
    </div>
  );
}

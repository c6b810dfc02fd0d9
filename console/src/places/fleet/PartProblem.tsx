import { Alert } from "../../design/Alert";

/** Why one part of the fleet's state cannot be read. */
export function PartProblem({ problem }: { problem: string | null }) {
  return problem === null ? null : <Alert>{problem}</Alert>;
}

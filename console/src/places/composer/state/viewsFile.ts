import type { Graph, GraphProblem } from "../graph/graph";

/** The views file as it was read or written last. */
export interface ViewsFile {
  /** Empty where the console has no views file. */
  readonly path: string;
  readonly text: string;
  readonly sha256: string;
  readonly graph: Graph;
  readonly editable: boolean;
  /** Why it cannot be edited. */
  readonly whyNot: string;
  readonly problems: readonly GraphProblem[];
}

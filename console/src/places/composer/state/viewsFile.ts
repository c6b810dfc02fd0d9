import type { components } from "../../../api/schema";
import type { Graph, GraphProblem } from "../graph/graph";
import { type AnsweredGraph, graphOf } from "../panel/wire";

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
  /** Why the text is no Python; it has no graph then. */
  readonly fault: Fault | null;
}

export type Fault = components["schemas"]["SyntaxFault"];

/** A views file that the API has answered. */
export function fileOf(read: Read): ViewsFile {
  const { path, text, sha256, editable, problems, fault } = read;
  return { path, text, sha256, editable, whyNot: read.why_not, problems, fault, graph: graphOf(read.graph) };
}

type Read = Omit<components["schemas"]["ViewsFile"], "graph"> & { readonly graph: AnsweredGraph };

/** Why the file that is edited is no Python; null where its text was replaced meanwhile. */
export function faultOf(file: ViewsFile, text: string): Fault | null {
  return file.text === text ? file.fault : null;
}

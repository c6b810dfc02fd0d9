// What can be placed: each type of node with its fields, as the server's classes declare them.

import { type Field, type Graph, type GraphNode, type Json, type Kind, literal } from "./graph";
import { freeFeatureName, freeId, freeName } from "./names";

export interface PaletteField {
  readonly name: string;
  /** The kind of control that edits it. */
  readonly editor: string;
  readonly required: boolean;
  /** The value that an unwritten field has; null where it has none. */
  readonly default: Json;
  readonly help: string;
  /** The values of a closed choice. */
  readonly choices: readonly string[];
}

export interface PaletteType {
  readonly kind: Kind;
  readonly type: string;
  readonly help: string;
  readonly fields: readonly PaletteField[];
}

export interface Palette {
  readonly types: readonly PaletteType[];
}

export function typeOf(palette: Palette, node: GraphNode): PaletteType | undefined {
  return (
    palette.types.find((one) => one.kind === node.kind && one.type === node.type) ??
    palette.types.find((one) => one.kind === node.kind && node.type === "")
  );
}

/** What a new node begins with, so that most need one or two further entries only. */
const BEGINNINGS: Readonly<Record<string, Readonly<Record<string, Json>>>> = {
  FeatureView: { pane: "1d" },
  Bounds: { max_cells: 1, max_events_per_cell: 1 },
  Privacy: { rho: 0.1, min_clients: 50 },
  Rate: { where: "" },
};

/** The names that new nodes of a type begin with; the others get theirs from a column. */
const NAMES: Readonly<Record<string, string>> = {
  FeatureView: "new_view",
  FeatureService: "new_service",
  on_demand: "new_transformation",
  ClientCount: "clients",
  Count: "events",
  Rate: "share",
};

/** A new node of a type, for `view`. It is free: nothing links to it. */
export function newNode(graph: Graph, item: PaletteType, view?: GraphNode): GraphNode {
  const fields: Record<string, Field> = {};
  const wanted = NAMES[item.type];
  const name =
    wanted === undefined
      ? ""
      : item.kind === "feature"
        ? freeFeatureName(graph, wanted, view)
        : freeName(graph, wanted);
  if (name !== "" && item.kind !== "on_demand") {
    fields.name = { kind: "literal", value: name };
  }
  for (const [field, value] of Object.entries(BEGINNINGS[item.type] ?? {})) {
    fields[field] = { kind: "literal", value };
  }
  const isStatement = item.kind === "view" || item.kind === "service" || item.kind === "on_demand";
  return {
    id: freeId(graph),
    kind: item.kind,
    type: item.type,
    name: isStatement ? name : "",
    fields: { ...fields, ...bodyOf(item) },
    links: item.kind === "view" ? { features: [] } : {},
    lines: [0, 0],
  };
}

/** A new block of text or transformation begins with something to go on from. The server writes the function's first text. */
function bodyOf(item: PaletteType): Readonly<Record<string, Field>> {
  switch (item.kind) {
    case "code":
      return { text: { kind: "code", text: "# A comment, a constant or a function." } };
    case "on_demand":
      return { outputs: literal(["value"]), arguments: literal([]) };
    default:
      return {};
  }
}

// A views file as the server gives it, for tests: the quickstart's view, and a service that reads it.

import { type Field, type Graph, type GraphNode, type Json, literal } from "./graph/graph";
import type { Palette } from "./graph/palette";
import type { Source } from "./graph/sources";

function fields(values: Record<string, Json>): Record<string, Field> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, literal(value)]));
}

function node(
  given: Partial<GraphNode> & Pick<GraphNode, "id" | "kind">,
  values: Record<string, Json>,
): GraphNode {
  return { type: "", name: "", links: {}, lines: [1, 1], ...given, fields: fields(values) };
}

export const GRAPH: Graph = {
  nodes: [
    node(
      {
        id: "dest_delay",
        kind: "view",
        type: "FeatureView",
        name: "dest_delay",
        links: {
          entity: ["dest_delay.entity"],
          features: [
            "dest_delay.features.0",
            "dest_delay.features.1",
            "dest_delay.features.2",
            "dest_delay.features.3",
          ],
          bounds: ["BOUNDS"],
          privacy: ["dest_delay.privacy"],
        },
        lines: [5, 18],
      },
      { name: "dest_delay", pane: "1d", windows: ["7d", "28d"] },
    ),
    node(
      { id: "dest_delay.entity", kind: "entity", type: "Entity" },
      { keys: "dest", domain: ["ATL", "BOS", "LAX"] },
    ),
    node({ id: "dest_delay.features.0", kind: "feature", type: "ClientCount" }, { name: "planes" }),
    node(
      { id: "dest_delay.features.1", kind: "feature", type: "Mean" },
      { column: "arr_delay", clip: [-60, 180], resolution: 1 },
    ),
    node(
      { id: "dest_delay.features.2", kind: "feature", type: "Histogram" },
      { column: "arr_delay", edges: [-15, 0, 15, 30, 60, 120] },
    ),
    node(
      { id: "dest_delay.features.3", kind: "feature", type: "Rate" },
      { name: "late", where: "arr_delay >= 15", derive: true },
    ),
    node(
      { id: "BOUNDS", kind: "bounds", type: "Bounds", name: "BOUNDS" },
      { max_cells: 3, max_events_per_cell: 1 },
    ),
    node({ id: "dest_delay.privacy", kind: "privacy", type: "Privacy" }, { rho: 0.1, min_clients: 50 }),
    node(
      {
        id: "late_model",
        kind: "service",
        type: "FeatureService",
        name: "late_model",
        links: { members: ["dest_delay"] },
      },
      { name: "late_model", refs: ["dest_delay:late_7d"] },
    ),
  ],
};

export const FLIGHTS: Source = {
  id: "events",
  name: "flights.parquet",
  columns: [
    { name: "dest", type: "text" },
    { name: "arr_delay", type: "number" },
    { name: "cancelled", type: "boolean" },
    { name: "arrived_at", type: "time" },
    { name: "tail num", type: "text" },
  ],
  client: "tail num",
  time: "arrived_at",
};

const NO_FIELDS = { help: "", fields: [] };

export const PALETTE: Palette = {
  types: [
    { kind: "view", type: "FeatureView", ...NO_FIELDS },
    { kind: "entity", type: "Entity", ...NO_FIELDS },
    { kind: "feature", type: "Mean", ...NO_FIELDS },
    { kind: "feature", type: "Rate", ...NO_FIELDS },
    { kind: "bounds", type: "Bounds", ...NO_FIELDS },
    { kind: "code", type: "", ...NO_FIELDS },
  ],
};

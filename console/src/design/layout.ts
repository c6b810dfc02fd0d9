// Places the boxes of a graph in layers, each join from one layer to a later one.

import { Graph, layout } from "@dagrejs/dagre";

export interface Box {
  id: string;
  width: number;
  height: number;
}

export interface Join {
  source: string;
  target: string;
}

export interface Point {
  x: number;
  y: number;
}

interface Spacing {
  /** right: layers are columns, and joins go to the right. down: layers are rows. */
  direction?: "right" | "down";
  /** The gap between boxes of one layer. */
  gap?: number;
  /** The gap between layers. */
  layerGap?: number;
}

/** The top left corner of each box. A join from or to an unknown box does not count; cycles are allowed. */
export function layered(
  boxes: readonly Box[],
  joins: readonly Join[],
  { direction = "right", gap = 24, layerGap = 72 }: Spacing = {},
): Map<string, Point> {
  const graph = new Graph();
  graph.setGraph({ rankdir: direction === "right" ? "LR" : "TB", nodesep: gap, ranksep: layerGap });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { id, width, height } of boxes) {
    graph.setNode(id, { width, height });
  }
  for (const { source, target } of joins) {
    if (source !== target && graph.hasNode(source) && graph.hasNode(target)) {
      graph.setEdge(source, target);
    }
  }
  layout(graph);
  return new Map(
    boxes.map(({ id, width, height }) => {
      const middle: Point = graph.node(id);
      return [id, { x: middle.x - width / 2, y: middle.y - height / 2 }];
    }),
  );
}

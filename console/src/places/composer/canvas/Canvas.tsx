import {
  applyNodeChanges,
  Background,
  type FinalConnectionState,
  type NodeChange,
  Panel,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
} from "@xyflow/react";
import { type DragEvent, useCallback, useEffect, useMemo, useRef, useState } from "react";
import "@xyflow/react/dist/base.css";
import "./canvas.css";
import { disconnected } from "../graph/disconnect";
import { nodeOf } from "../graph/graph";
import { joinColumn, joinNodes } from "../graph/joins";
import { columnOf } from "../graph/sources";
import { useCommands, WINDOWS } from "../state/commands";
import { useComposer } from "../state/context";
import { carried, nodeIdOf } from "../state/editing";
import { useMoved } from "../state/moved";
import { CanvasTools, WHOLE } from "./CanvasTools";
import { Filter, Part, SourceColumns, Windows } from "./cards";
import { DRAGGED, draggedOf } from "./dragged";
import { useFitted } from "./fitted";
import { type Card, flowOf, type JoinLine, placesOf, reused, sameLines, shapeOf } from "./flow";
import { useCanvasKeys, useShownCard } from "./keys";

const CARDS = { part: Part, filter: Filter, windows: Windows, source: SourceColumns };

interface CanvasProps {
  isWide: boolean;
  onWide: (isWide: boolean) => void;
}

export function Canvas(props: CanvasProps) {
  return (
    <ReactFlowProvider>
      <Drawing {...props} />
    </ReactFlowProvider>
  );
}

/** The graph as cards and lines that are moved, joined and chosen. */
function Drawing({ isWide, onWide }: CanvasProps) {
  const { editing, file, sources, palette, problems, dispatch, apply } = useComposer();
  const { graph, selection, renewed } = editing;
  const commands = useCommands();
  const flow = useMemo(() => flowOf(graph, sources, problems), [graph, sources, problems]);
  const [moved, setMoved] = useMoved(file.path);
  const [cards, setCards] = useState<Card[]>([]);
  const [lines, setLines] = useState<readonly JoinLine[]>([]);
  const canvas = useReactFlow<Card, JoinLine>();
  const frame = useRef<HTMLElement>(null);

  const shape = useMemo(() => shapeOf(flow), [flow]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: laying out 200 cards takes longer than a key press may
  const places = useMemo(() => placesOf(flow), [shape]);

  useEffect(() => {
    const chosen = new Set(selection);
    setCards((before) =>
      reused(
        before,
        flow.cards.map((card) => ({
          ...card,
          position: moved[card.id] ?? places.get(card.id) ?? card.position,
          selected: chosen.has(card.id),
        })),
      ),
    );
  }, [flow, places, moved, selection]);

  useEffect(() => setLines((before) => sameLines(before, flow.lines)), [flow]);

  const former = useRef(renewed);
  useEffect(() => {
    if (former.current !== renewed) {
      former.current = renewed;
      setMoved(
        Object.fromEntries(
          Object.entries(moved).flatMap(([id, at]) => carried([id], renewed).map((now) => [now, at])),
        ),
      );
    }
  }, [renewed, moved, setMoved]);

  const change = useCallback(
    (changes: NodeChange<Card>[]) => {
      setCards((before) => applyNodeChanges(changes, before));
      const chosen = selectionAfter(selection, changes);
      if (chosen !== undefined) {
        dispatch({ type: "select", ids: chosen });
      }
    },
    [selection, dispatch],
  );

  const keepPlaces = useCallback(
    (_event: unknown, _card: Card, dragged: Card[]) => {
      setMoved({ ...moved, ...Object.fromEntries(dragged.map((card) => [card.id, card.position])) });
    },
    [moved, setMoved],
  );

  const joinOf = useCallback(
    (from: string, handle: string | null, to: string) => {
      const target = nodeIdOf(to);
      if (handle?.startsWith("column:") === true) {
        const column = columnOf(sources, handle.slice("column:".length));
        return column === undefined
          ? ({ kind: "refused", why: "The source has lost this column." } as const)
          : joinColumn(graph, column, target);
      }
      return joinNodes(graph, nodeIdOf(from), target);
    },
    [graph, sources],
  );

  const join = useCallback(
    (event: MouseEvent | TouchEvent, state: FinalConnectionState) => {
      const to = state.toNode?.id ?? cardAt(event);
      if (state.fromNode !== null && to !== undefined && to !== state.fromNode.id) {
        const isBackwards = state.fromHandle?.type === "target";
        const from = isBackwards ? to : state.fromNode.id;
        const handle = isBackwards ? (state.toHandle?.id ?? null) : (state.fromHandle?.id ?? null);
        apply(joinOf(from, handle, isBackwards ? state.fromNode.id : to));
      }
    },
    [joinOf, apply],
  );

  const drop = useCallback(
    (event: DragEvent) => {
      const dragged = draggedOf(event.dataTransfer.getData(DRAGGED));
      const item = [...palette.types, WINDOWS].find(
        (one) => one.kind === dragged?.kind && one.type === dragged.type,
      );
      if (item === undefined) {
        return;
      }
      event.preventDefault();
      const under = nodeOf(graph, nodeIdOf(cardAt(event.nativeEvent) ?? ""));
      const id = commands.add(item, under?.kind === "view" ? under : undefined);
      if (under === undefined && id !== "") {
        setMoved({
          ...moved,
          [id]: canvas.screenToFlowPosition({ x: event.clientX - 40, y: event.clientY - 20 }),
        });
      }
    },
    [palette, graph, commands, moved, setMoved, canvas],
  );

  const press = useCanvasKeys(cards, moved, setMoved, frame);
  useFitted(flow, editing.base, cards, frame, isWide);
  useShownCard(selection.length === 1 ? selection[0] : undefined, cards, frame);
  return (
    <section
      ref={frame}
      className="canvas"
      aria-label="Canvas"
      onKeyDown={press}
      onDrop={drop}
      onDragOver={(event) => {
        if (event.dataTransfer.types.includes(DRAGGED)) {
          event.preventDefault();
          event.dataTransfer.dropEffect = "copy";
        }
      }}
    >
      <ReactFlow<Card, JoinLine>
        nodes={cards}
        edges={lines as JoinLine[]}
        nodeTypes={CARDS}
        onNodesChange={change}
        onNodeDragStop={keepPlaces}
        onConnectEnd={join}
        isValidConnection={({ source, sourceHandle, target }) =>
          joinOf(source, sourceHandle ?? null, target).kind === "joined"
        }
        onEdgeDoubleClick={(_event, edge) =>
          edge.data !== undefined && apply(disconnected(graph, edge.data.joined))
        }
        connectOnClick={false}
        connectionRadius={28}
        deleteKeyCode={null}
        disableKeyboardA11y
        nodesFocusable={false}
        edgesFocusable={false}
        minZoom={0.1}
        maxZoom={1.5}
        fitView
        fitViewOptions={WHOLE}
      >
        <Background gap={20} />
        {graph.nodes.length === 0 && (
          <Panel position="top-center" className="canvas-empty">
            Drag a part here, or click one above. A view is a good beginning.
          </Panel>
        )}
        <CanvasTools onArrange={() => setMoved({})} isWide={isWide} onWide={onWide} />
      </ReactFlow>
    </section>
  );
}

/** The id of the card under the pointer. */
function cardAt(event: MouseEvent | TouchEvent): string | undefined {
  const point = "changedTouches" in event ? event.changedTouches[0] : event;
  const under = point && document.elementFromPoint(point.clientX, point.clientY);
  return under?.closest<HTMLElement>(".react-flow__node")?.dataset.id;
}

/** What is chosen after the canvas has changed it; undefined if it has not. */
function selectionAfter(
  before: readonly string[],
  changes: readonly NodeChange<Card>[],
): readonly string[] | undefined {
  const chosen = new Set(before);
  let isChanged = false;
  for (const change of changes) {
    if (change.type === "select") {
      isChanged = true;
      change.selected ? chosen.add(change.id) : chosen.delete(change.id);
    }
  }
  return isChanged ? [...chosen] : undefined;
}

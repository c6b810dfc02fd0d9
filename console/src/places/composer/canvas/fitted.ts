// When the canvas shows the whole graph by itself.

import { getViewportForBounds, type Rect, useReactFlow } from "@xyflow/react";
import { type RefObject, useEffect, useRef } from "react";
import { WHOLE } from "./CanvasTools";
import { CARD_WIDTH, type Card, type Flow, heightOf } from "./flow";

/** Whether most cards of parts are new, as after another text: then a part of the canvas that was looked at says nothing any more. */
export function isOtherFlow(before: Flow, now: Flow): boolean {
  const former = new Set(before.cards.map((card) => card.id));
  const parts = now.cards.filter((card) => card.type !== "source");
  return parts.filter((card) => !former.has(card.id)).length > parts.length / 2;
}

/** The rectangle around all cards. */
export function boundsOf(cards: readonly Card[]): Rect {
  const left = Math.min(...cards.map((card) => card.position.x));
  const top = Math.min(...cards.map((card) => card.position.y));
  const right = Math.max(...cards.map((card) => card.position.x + CARD_WIDTH));
  const bottom = Math.max(...cards.map((card) => card.position.y + heightOf(card)));
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/**
 * Shows the whole graph when another text, `base`, has brought other parts, or the canvas another width. `cards`: those of the
 * flow, which get their places after it. `fitView` would still measure the former cards and width.
 */
export function useFitted(
  flow: Flow,
  base: object,
  cards: readonly Card[],
  frame: RefObject<HTMLElement | null>,
  isWide: boolean,
): void {
  const canvas = useReactFlow();
  const seen = useRef({ base, flow, isWide });
  const isWanted = useRef(false);
  useEffect(() => {
    const before = seen.current;
    seen.current = { base, flow, isWide };
    isWanted.current ||= before.isWide !== isWide || (before.base !== base && isOtherFlow(before.flow, flow));
    const isPlaced =
      cards.length === flow.cards.length && cards.every((card, at) => card.id === flow.cards[at]?.id);
    if (isWanted.current && isPlaced && frame.current !== null) {
      isWanted.current = false;
      const { clientWidth, clientHeight } = frame.current;
      const { minZoom, maxZoom, padding } = WHOLE;
      void canvas.setViewport(
        getViewportForBounds(boundsOf(cards), clientWidth, clientHeight, minZoom, maxZoom, padding),
      );
    }
  }, [base, flow, cards, canvas, frame, isWide]);
}

// The keys of the canvas: arrows go from card to card, Alt and arrows move a card, Enter opens its fields.

import { useReactFlow } from "@xyflow/react";
import { type KeyboardEvent, type RefObject, useCallback, useEffect, useRef } from "react";
import { useComposer } from "../state/context";
import type { Moved } from "../state/moved";
import { CARD_WIDTH, type Card, heightOf } from "./flow";
import { isDirection, stepFrom } from "./steps";

const STEP = 20;
const OFFSETS = {
  ArrowLeft: [-STEP, 0],
  ArrowRight: [STEP, 0],
  ArrowUp: [0, -STEP],
  ArrowDown: [0, STEP],
} as const;

export const INSPECTOR_ID = "composer-inspector";
export const PARTS_ID = "composer-parts";

function cardIn(frame: HTMLElement | null, id: string): HTMLElement | null {
  return frame?.querySelector<HTMLElement>(`[data-card="${CSS.escape(id)}"]`) ?? null;
}

/** Moves the canvas where the chosen card is outside of what is seen of it. */
export function useShownCard(
  chosen: string | undefined,
  cards: readonly Card[],
  frame: RefObject<HTMLElement | null>,
): void {
  const canvas = useReactFlow();
  const shown = useRef<string>(undefined);
  useEffect(() => {
    const place = cards.find((card) => card.id === chosen);
    if (chosen === shown.current || place === undefined) {
      return;
    }
    const card = cardIn(frame.current, place.id)?.getBoundingClientRect();
    const around = frame.current?.getBoundingClientRect();
    if (card === undefined || around === undefined) {
      return; // it is not drawn yet
    }
    shown.current = chosen;
    const isInside =
      card.left >= around.left &&
      card.right <= around.right &&
      card.top >= around.top &&
      card.bottom <= around.bottom;
    if (!isInside) {
      const { x, y } = place.position;
      void canvas.setCenter(x + CARD_WIDTH / 2, y + heightOf(place) / 2, { zoom: canvas.getZoom() });
    }
  }, [chosen, cards, frame, canvas]);
}

export function useCanvasKeys(
  cards: readonly Card[],
  moved: Moved,
  setMoved: (moved: Moved) => void,
  frame: RefObject<HTMLElement | null>,
): (event: KeyboardEvent) => void {
  const { editing, dispatch } = useComposer();
  const { selection } = editing;
  const focus = useCallback(
    (id: string) => cardIn(frame.current, id)?.focus({ preventScroll: true }),
    [frame],
  );

  return useCallback(
    (event) => {
      const target = event.target as HTMLElement;
      if (target.closest("button, input, select, textarea") !== null || event.ctrlKey || event.metaKey) {
        return;
      }
      const current = target.closest<HTMLElement>("[data-card]")?.dataset.card ?? selection[0] ?? "";
      if (event.key === "Enter" && current !== "") {
        event.preventDefault();
        document.getElementById(INSPECTOR_ID)?.focus();
      } else if (isDirection(event.key) && event.altKey) {
        event.preventDefault();
        const [x, y] = OFFSETS[event.key];
        const chosen = cards.filter((card) => selection.includes(card.id));
        const places = chosen.map(({ id, position }) => [id, { x: position.x + x, y: position.y + y }]);
        setMoved({ ...moved, ...Object.fromEntries(places) });
      } else if (isDirection(event.key)) {
        event.preventDefault();
        const next = stepFrom(cards, current, event.key);
        if (next !== undefined) {
          const ids = event.shiftKey ? [...new Set([...selection, next])] : [next];
          dispatch({ type: "select", ids });
          focus(next);
        }
      }
    },
    [cards, selection, moved, setMoved, dispatch, focus],
  );
}

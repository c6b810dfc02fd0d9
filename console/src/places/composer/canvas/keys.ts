// The keys of the canvas: arrows go from card to card, Alt and arrows move a card, Enter opens its fields.

import { useReactFlow } from "@xyflow/react";
import { type KeyboardEvent, type RefObject, useCallback } from "react";
import { useComposer } from "../state/context";
import type { Moved } from "../state/moved";
import type { Card } from "./flow";
import { isDirection, stepFrom } from "./steps";

const STEP = 20;
const OFFSETS = {
  ArrowLeft: [-STEP, 0],
  ArrowRight: [STEP, 0],
  ArrowUp: [0, -STEP],
  ArrowDown: [0, STEP],
} as const;

export const INSPECTOR_ID = "composer-inspector";

export function useCanvasKeys(
  cards: readonly Card[],
  moved: Moved,
  setMoved: (moved: Moved) => void,
  frame: RefObject<HTMLElement | null>,
): (event: KeyboardEvent) => void {
  const { editing, dispatch } = useComposer();
  const { selection } = editing;
  const canvas = useReactFlow();

  const show = useCallback(
    (id: string) => {
      const card = frame.current?.querySelector<HTMLElement>(`[data-card="${CSS.escape(id)}"]`);
      card?.focus({ preventScroll: true });
      const shown = card?.getBoundingClientRect();
      const around = frame.current?.getBoundingClientRect();
      const place = cards.find((one) => one.id === id)?.position;
      if (shown === undefined || around === undefined || place === undefined) {
        return;
      }
      const isInside =
        shown.left >= around.left &&
        shown.right <= around.right &&
        shown.top >= around.top &&
        shown.bottom <= around.bottom;
      if (!isInside) {
        void canvas.setCenter(place.x + 116, place.y + 50, { zoom: canvas.getZoom() });
      }
    },
    [canvas, cards, frame],
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
          show(next);
        }
      }
    },
    [cards, selection, moved, setMoved, dispatch, show],
  );
}

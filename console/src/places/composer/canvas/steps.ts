// The way of the arrow keys from card to card.

import type { Point } from "../../../design/layout";

export type Direction = "ArrowLeft" | "ArrowRight" | "ArrowUp" | "ArrowDown";

export function isDirection(key: string): key is Direction {
  return key === "ArrowLeft" || key === "ArrowRight" || key === "ArrowUp" || key === "ArrowDown";
}

interface Placed {
  readonly id: string;
  readonly position: Point;
}

/** How much a way sideways counts against a way ahead. */
const SIDEWAYS = 2.5;

/** The nearest card in a direction; undefined if there is none. */
export function stepFrom(cards: readonly Placed[], from: string, direction: Direction): string | undefined {
  const start = cards.find((card) => card.id === from)?.position;
  if (start === undefined) {
    return cards[0]?.id;
  }
  const isAcross = direction === "ArrowLeft" || direction === "ArrowRight";
  const sign = direction === "ArrowLeft" || direction === "ArrowUp" ? -1 : 1;
  let best: string | undefined;
  let shortest = Number.POSITIVE_INFINITY;
  for (const { id, position } of cards) {
    const ahead = sign * (isAcross ? position.x - start.x : position.y - start.y);
    const sideways = Math.abs(isAcross ? position.y - start.y : position.x - start.x);
    const distance = ahead + SIDEWAYS * sideways;
    if (ahead > 1 && distance < shortest) {
      shortest = distance;
      best = id;
    }
  }
  return best;
}

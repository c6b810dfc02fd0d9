import { expect, test } from "vitest";
import { FLIGHTS, GRAPH } from "../fixture";
import { boundsOf, isOtherFlow } from "./fitted";
import { CARD_WIDTH, type Card, flowOf, heightOf } from "./flow";

const FLOW = flowOf(GRAPH, [FLIGHTS], []);

test("a flow is another one if most of its parts are new, whatever its sources", () => {
  const renamed = (count: number) =>
    FLOW.cards.map((card, index) => (index > 0 && index <= count ? { ...card, id: `other.${index}` } : card));
  const half = (FLOW.cards.length - 1) / 2; // the first card is the source
  expect(isOtherFlow(FLOW, { ...FLOW, cards: renamed(half) })).toBe(false);
  expect(isOtherFlow(FLOW, { ...FLOW, cards: renamed(half + 1) })).toBe(true);
  expect(isOtherFlow(FLOW, { ...FLOW, cards: FLOW.cards.slice(0, 1) })).toBe(false);
});

test("the bounds hold every card", () => {
  const [one, other] = FLOW.cards;
  const cards = [
    { ...one, position: { x: -10, y: 5 } },
    { ...other, position: { x: 300, y: -7 } },
  ] as Card[];
  const bounds = boundsOf(cards);
  expect([bounds.x, bounds.y, bounds.width]).toEqual([-10, -7, 310 + CARD_WIDTH]);
  expect(bounds.y + bounds.height).toBe(Math.max(...cards.map((card) => card.position.y + heightOf(card))));
});

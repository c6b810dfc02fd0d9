// @vitest-environment jsdom

import { cleanup, createEvent, fireEvent, render, screen } from "@testing-library/react";
import { useState } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Combobox } from "./Combobox";
import { moved, NONE } from "./suggestions";

const scrolled = vi.fn(() => Promise.resolve()); // as in Chromium
const chosen = vi.fn();

function Keys() {
  const [text, setText] = useState("");
  const options = ["ATL", "BOS", "CLT"].filter((one) => one.includes(text));
  return <Combobox label="Key" value={text} options={options} onChange={setText} onChoose={chosen} />;
}

beforeEach(() => {
  chosen.mockClear();
  Element.prototype.scrollIntoView = scrolled;
  render(<Keys />);
});
afterEach(cleanup);

const input = () => screen.getByRole<HTMLInputElement>("combobox", { name: "Key" });
const active = () =>
  document.getElementById(input().getAttribute("aria-activedescendant") ?? "")?.textContent ?? "";
const press = (key: string) => fireEvent.keyDown(input(), { key });

test("arrow keys go around the ends, and from none to the first or the last", () => {
  expect([moved(NONE, 1, 3), moved(NONE, -1, 3), moved(2, 1, 3), moved(0, -1, 3)]).toEqual([0, 2, 0, 2]);
  expect(moved(NONE, 1, 0)).toBe(NONE);
});

test("the arrow keys choose among the suggestions, and Enter takes the active one", () => {
  fireEvent.focus(input());
  expect([input().getAttribute("aria-expanded"), active()]).toEqual(["true", ""]);
  press("ArrowDown");
  press("ArrowDown");
  expect(active()).toBe("BOS");
  expect(screen.getByRole("option", { selected: true }).textContent).toBe("BOS");
  expect(scrolled).toHaveBeenCalled(); // a long list keeps it in sight
  press("Enter");
  expect([input().value, chosen.mock.calls, input().getAttribute("aria-expanded")]).toEqual([
    "BOS",
    [["BOS"]],
    "false",
  ]);
});

test("Enter without an active suggestion chooses the text as it is written", () => {
  fireEvent.change(input(), { target: { value: "T" } });
  press("Enter");
  expect(chosen.mock.calls).toEqual([["T"]]);
});

test("writing makes no suggestion active, and those that remain are shown", () => {
  press("ArrowUp");
  expect(active()).toBe("CLT");
  fireEvent.change(input(), { target: { value: "T" } });
  expect([active(), screen.getAllByRole("option").length]).toEqual(["", 2]);
});

test("a suggestion that has left is active no more", () => {
  cleanup();
  const field = (options: string[]) => (
    <Combobox label="Key" value="" options={options} onChange={vi.fn()} onChoose={chosen} />
  );
  const shown = render(field(["ATL", "BOS"]));
  press("ArrowUp");
  expect(active()).toBe("BOS");
  shown.rerender(field(["ATL"]));
  expect(input().getAttribute("aria-activedescendant")).toBeNull();
  press("Enter");
  expect(chosen.mock.calls).toEqual([[""]]);
});

test("Escape closes the list, and only then the dialog around it", () => {
  press("ArrowDown");
  const first = createEvent.keyDown(input(), { key: "Escape" });
  fireEvent(input(), first);
  const second = createEvent.keyDown(input(), { key: "Escape" });
  fireEvent(input(), second);
  expect([first.defaultPrevented, second.defaultPrevented]).toEqual([true, false]);
});

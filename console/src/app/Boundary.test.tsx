// @vitest-environment jsdom

import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { Boundary } from "./Boundary";

afterEach(cleanup);

let broken = true;
function Part() {
  if (broken) {
    throw new Error("a defect of the place");
  }
  return <p>content</p>;
}

test("a defect is shown, and tried again on request and at another address", () => {
  const quiet = vi.spyOn(console, "error").mockImplementation(() => undefined);
  broken = true;
  const shown = render(<Boundary address="a">{<Part />}</Boundary>);
  expect(screen.getByRole("alert").textContent).toContain("a defect of the place");
  shown.rerender(<Boundary address="b">{<Part />}</Boundary>);
  expect(screen.getByRole("alert")).toBeTruthy();
  broken = false;
  shown.rerender(<Boundary address="b">{<Part />}</Boundary>);
  expect(screen.queryByText("content")).toBeNull(); // not at each drawing
  fireEvent.click(screen.getByRole("button"));
  expect(screen.getByText("content")).toBeTruthy();
  broken = true;
  shown.rerender(<Boundary address="b">{<Part />}</Boundary>);
  broken = false;
  shown.rerender(<Boundary address="c">{<Part />}</Boundary>);
  expect(screen.getByText("content")).toBeTruthy();
  quiet.mockRestore();
});

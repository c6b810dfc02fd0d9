// @vitest-environment jsdom

import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { ApiProblem } from "../api/problem";
import { Loaded } from "./Loaded";

afterEach(cleanup);

const problem = new ApiProblem({ status: 0, code: "UNREACHABLE", detail: "no answer", mend: "Run it." });
const refetch = vi.fn();
const query = (data: string | undefined, error: unknown, isFetching = false) => ({
  data,
  error,
  isFetching,
  refetch,
});
const shown = (one: ReturnType<typeof query>) => (
  <Loaded query={one} label="the views">
    {(data) => <p>{data}</p>}
  </Loaded>
);

test("an answer that is read is awaited with a spinner, and then shown", () => {
  const page = render(shown(query(undefined, null, true)));
  expect(screen.getByRole("status").textContent).toBe("Reading the views …");
  page.rerender(shown(query("content", null)));
  expect(screen.getByText("content")).toBeTruthy();
});

test("an error beside an older answer does not take that one away", () => {
  render(shown(query("content", problem)));
  expect(screen.getByRole("alert").textContent).toContain("UNREACHABLE");
  expect(screen.getByText("content")).toBeTruthy();
});

test("an error stays while it is tried again, and leaves with an answer", () => {
  const page = render(shown(query(undefined, problem)));
  fireEvent.click(screen.getByRole("button", { name: "Try again" }));
  expect(refetch).toHaveBeenCalledOnce();
  page.rerender(shown(query(undefined, null, true))); // a query forgets its error then
  expect(screen.getByRole("alert").textContent).toContain("Trying again");
  page.rerender(shown(query("content", null)));
  expect([screen.queryByRole("alert"), screen.queryByText("content")?.textContent]).toEqual([
    null,
    "content",
  ]);
});

// @vitest-environment jsdom
import { render, screen } from "@testing-library/react";
import { expect, test } from "vitest";
import { ApiProblem } from "../api/problem";
import { KeyForm } from "./KeyForm";

function shown(code: string): void {
  const problem = new ApiProblem({
    status: 401,
    code,
    detail: "the console does not know this API key",
    mend: "",
  });
  render(<KeyForm problem={problem} onKey={() => undefined} />);
}

test("a first visit is no error, and a wrong key is one", () => {
  shown("KEY_NEEDED");
  expect(screen.queryByRole("alert")).toBeNull();
  expect(screen.getByLabelText("API key")).toBeDefined();
  shown("CREDENTIALS_REFUSED");
  expect(screen.getByRole("alert").textContent).toContain("does not know this API key");
});

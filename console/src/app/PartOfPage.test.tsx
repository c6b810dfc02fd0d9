// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { Boundary } from "./Boundary";
import { PartOfPage } from "./PartOfPage";
import { Part } from "./part";

afterEach(cleanup);

const Content = () => <p>content</p>;

test("a part that is loaded is shown at once, without a word about loading", async () => {
  const part = new Part(() => Promise.resolve({ default: Content }));
  await part.load();
  render(<PartOfPage part={part} label="Opening it" />);
  expect(screen.queryByRole("status")).toBeNull();
  expect(screen.getByText("content")).toBeDefined();
});

test("a part that is not loaded is shown when it is, and is loaded once", async () => {
  const read = vi.fn(() => Promise.resolve({ default: Content }));
  const part = new Part(read);
  render(<PartOfPage part={part} label="Opening it" />);
  expect(screen.getByRole("status").textContent).toContain("Opening it");
  await screen.findByText("content");
  await part.load();
  expect(read).toHaveBeenCalledOnce();
});

test("a part that cannot be loaded is a problem of its place, and can be tried again", async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const read = vi
    .fn(() => Promise.resolve({ default: Content }))
    .mockRejectedValueOnce(new Error("the file is not there"));
  const part = new Part(read);
  render(
    <Boundary address="">
      <PartOfPage part={part} label="Opening it" />
    </Boundary>,
  );
  const again = await screen.findByRole("button");
  expect(screen.getByText("the file is not there")).toBeDefined();
  again.click();
  await screen.findByText("content");
});

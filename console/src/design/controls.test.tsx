// @vitest-environment jsdom

import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { CopyButton } from "./CopyButton";
import { Dialog } from "./Dialog";
import { TextField } from "./Field";
import { Table } from "./Table";
import { Tabs } from "./Tabs";
import { WordsButton } from "./WordsButton";

beforeEach(() => {
  HTMLDialogElement.prototype.showModal = function () {
    this.open = true;
  };
  HTMLDialogElement.prototype.close = function () {
    this.open = false;
    this.dispatchEvent(new Event("close"));
  };
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const button = () => screen.getByRole("button");

test("a copied text says so until another text takes its place", async () => {
  const writeText = vi.fn(() => Promise.resolve());
  vi.stubGlobal("navigator", { clipboard: { writeText } });
  const shown = render(<CopyButton text="covey run" of="Collects" />);
  expect(screen.getByRole("button", { name: "Copy: Collects" })).toBeTruthy();
  fireEvent.click(button());
  await screen.findByText("Copied");
  expect(writeText).toHaveBeenCalledWith("covey run");
  shown.rerender(<CopyButton text="covey apply" of="Collects" />);
  expect(button().textContent).toBe("Copy");
});

test("a browser that refuses to copy is not believed to have copied", async () => {
  vi.stubGlobal("navigator", {});
  render(<CopyButton text="covey run" of="Collects" />);
  fireEvent.click(button());
  expect((await screen.findByText("Not copied")).title).toContain("by hand");
});

test("a closed dialog gives the focus back, or to the content if its opener has left", () => {
  const content = document.createElement("main");
  content.id = "main";
  content.tabIndex = -1;
  const opener = document.createElement("button");
  document.body.append(content, opener);
  for (const leaves of [false, true]) {
    opener.focus();
    const shown = render(
      <Dialog title="A question" onClose={vi.fn()}>
        text
      </Dialog>,
    );
    screen.getByText("Cancel").focus();
    if (leaves) {
      opener.remove();
    }
    shown.unmount();
    expect(document.activeElement).toBe(leaves ? content : opener);
  }
  content.remove();
});

test("a dialog that its browser closes is closed once, and one that is open is not", () => {
  const close = vi.fn();
  render(
    <Dialog title="A question" onClose={close}>
      text
    </Dialog>,
  );
  const dialog = screen.getByRole<HTMLDialogElement>("dialog", { name: "A question" });
  fireEvent(dialog, new Event("close")); // of a dialog that was opened again since
  expect(close).not.toHaveBeenCalled();
  dialog.close();
  expect(close).toHaveBeenCalledOnce();
});

test("the arrow keys, Home and End choose a tab and take the focus there", () => {
  const choose = vi.fn();
  const tabs = [
    ["a", "A"],
    ["b", "B"],
    ["c", "C"],
  ] as const;
  render(
    <Tabs label="Parts" tabs={tabs} chosen="a" onChoose={choose}>
      panel
    </Tabs>,
  );
  for (const key of ["ArrowLeft", "ArrowRight", "End", "Home", "x"]) {
    fireEvent.keyDown(screen.getByRole("tablist"), { key });
  }
  expect(choose.mock.calls).toEqual([["c"], ["b"], ["c"], ["a"]]);
  expect(document.activeElement?.textContent).toBe("A");
  expect(screen.getAllByRole("tab").map((tab) => tab.tabIndex)).toEqual([0, -1, -1]);
  expect(screen.getByRole("tabpanel", { name: "A" })).toBeTruthy();
});

test("the header of a column sorts by it, and once more the other way round", () => {
  const rows = [{ name: "b" }, { name: "a" }];
  render(
    <Table
      caption="Names"
      rows={rows}
      rowKey={(row) => row.name}
      columns={[{ key: "name", title: "Name", cell: (row) => row.name, order: (row) => row.name }]}
    />,
  );
  const cells = () => screen.getAllByRole("cell").map((cell) => cell.textContent);
  const header = () => screen.getByRole("columnheader").getAttribute("aria-sort");
  expect([cells(), header()]).toEqual([["b", "a"], null]);
  fireEvent.click(button());
  expect([cells(), header()]).toEqual([["a", "b"], "ascending"]);
  fireEvent.click(button());
  expect([cells(), header()]).toEqual([["b", "a"], "descending"]);
  fireEvent.click(button());
  expect(header()).toBe("ascending");
});

test("of very many rows only some are in the page, and a screen reader knows how many there are", () => {
  const rows = Array.from({ length: 5_000 }, (_, index) => index);
  const columns = [{ key: "n", title: "n", cell: (row: number) => row }];
  render(<Table caption="Numbers" rows={rows} rowKey={String} columns={columns} />);
  expect(screen.queryAllByRole("cell").length).toBeLessThan(200);
  expect(screen.getByRole("table").getAttribute("aria-rowcount")).toBe("5001");
});

test("a field's hint and error are read with it", () => {
  render(<TextField label="Days" hint="Whole days" error="No number" value="x" onChange={vi.fn()} />);
  const field = screen.getByLabelText("Days");
  const read = field.getAttribute("aria-describedby")?.split(" ") ?? [];
  expect(read.map((id) => document.getElementById(id)?.textContent)).toEqual(["Whole days", "No number"]);
  expect(field.getAttribute("aria-invalid")).toBe("true");
});

test("the words of a place are explained, and no others", () => {
  render(<WordsButton of={["rho", "pane"]} />);
  fireEvent.click(button());
  expect(screen.getAllByRole("term").map((term) => term.textContent)).toEqual(["ρ (rho)", "pane"]);
});

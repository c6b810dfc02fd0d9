// @vitest-environment jsdom

import { act, renderHook } from "@testing-library/react";
import { beforeEach, expect, test, vi } from "vitest";
import { applyTheme, keptTheme } from "./theme";
import { useTheme } from "./useTheme";

beforeEach(() => {
  localStorage.clear();
  applyTheme("system");
});

test("a chosen theme is in force and kept, and the system's is neither", () => {
  const hook = renderHook(useTheme);
  act(() => hook.result.current[1]("dark"));
  expect([document.documentElement.dataset.theme, keptTheme()]).toEqual(["dark", "dark"]);
  act(() => hook.result.current[1]("system"));
  expect([document.documentElement.dataset.theme, localStorage.length]).toEqual([undefined, 0]);
});

test("a theme that is none counts as the system's", () => {
  localStorage.setItem("covey-theme", "purple");
  expect(keptTheme()).toBe("system");
});

test("a browser that keeps nothing still changes the theme", () => {
  const refused = vi.spyOn(Storage.prototype, "setItem").mockImplementation(() => {
    throw new Error("forbidden");
  });
  const hook = renderHook(useTheme);
  act(() => hook.result.current[1]("light"));
  expect([hook.result.current[0], document.documentElement.dataset.theme]).toEqual(["light", "light"]);
  refused.mockRestore();
});

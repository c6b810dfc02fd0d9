import { expect, test } from "vitest";
import { hrefOf, parseRoute } from "./routes";

test("an address leads back to its place, path and query", () => {
  const route = parseRoute(hrefOf("features", ["a/b%"], { key: "x&y" }));
  expect([route.place, route.path, route.query.get("key")]).toEqual(["features", ["a/b%"], "x&y"]);
});

test("an unknown or malformed address leads to the composer", () => {
  expect(parseRoute("#/nowhere/%E0%A4%A").place).toBe("composer");
  expect(parseRoute("").place).toBe("composer");
});

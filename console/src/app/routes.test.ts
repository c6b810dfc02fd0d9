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

test("a list in an address is read back as it was, and empty parts are none", () => {
  expect(parseRoute("#/models//late/").path).toEqual(["late"]);
  expect(parseRoute("#releases?view=a&view=b").query.getAll("view")).toEqual(["a", "b"]);
});

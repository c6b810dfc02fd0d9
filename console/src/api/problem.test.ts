import { expect, test } from "vitest";
import { problemOf } from "./problem";

test("a problem keeps its code, its text and its mend", async () => {
  const body = JSON.stringify({ code: "UNKNOWN_VIEW", detail: "there is no view x", mend: "`covey views`" });
  const found = await problemOf(new Response(body, { status: 404 }));
  expect([found.status, found.code, found.message, found.mend]).toEqual([
    404,
    "UNKNOWN_VIEW",
    "there is no view x",
    "`covey views`",
  ]);
});

test("an answer of a proxy that is no JSON is still a problem with its status", async () => {
  const found = await problemOf(new Response("<html>", { status: 502 }));
  expect([found.status, found.code]).toEqual([502, "HTTP_502"]);
});

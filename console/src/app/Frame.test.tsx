import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";
import html from "../../index.html?raw";
import { OpeningPage } from "./Frame";

test("index.html shows, before any code runs, what the opening page shows", () => {
  const [, written = ""] = /<div id="root">\n *(.*)\n {4}<\/div>\n/s.exec(html) ?? [];
  const drawn = renderToStaticMarkup(<OpeningPage />).replaceAll("/>", ">");
  expect(drawn.replaceAll(/<link[^>]*>/g, "")).toBe(written.replaceAll(/\n\s*/g, ""));
});

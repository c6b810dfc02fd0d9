import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** What the first script needs. */
const FIRST =
  /node_modules\/(react|openapi-fetch)\/|\/src\/app\/(firstRequests|pages|part|routes|theme|token)\.ts$|\/src\/api\/early\.ts$/;

/** What every place needs: it is one file, so that a place is not opened by a dozen requests. */
const APP =
  /node_modules\/(react-dom|scheduler|@tanstack|openapi-react-query)\/|\/src\/(app|api|design)\/(?!Chart|chart|layout).*\.tsx?$/;

export default defineConfig({
  base: "/console/",
  plugins: [react(), loadingOrder()],
  build: {
    outDir: "../covey/console/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false }, // the polyfill is an inline script, which the page's policy forbids
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: "first", test: FIRST, priority: 2 },
            { name: "app", test: APP, priority: 1 },
          ],
        },
      },
    },
  },
  server: { proxy: { "/console/api": "http://127.0.0.1:6580" } },
  test: {
    environment: "node",
    env: { TZ: "America/New_York" }, // the page shows UTC, wherever it is
    include: ["src/**/*.test.{ts,tsx}"],
  },
});

/** Orders what the browser loads: the style sheet, which the first paint needs; the first script; and the app, before that script asks for it. */
function loadingOrder(): Plugin {
  return {
    name: "loading-order",
    transformIndexHtml: {
      order: "post",
      handler: (html, { bundle = {} }) => {
        const sheets = html.match(/ *<link rel="stylesheet"[^>]*>\n/g) ?? [];
        const rest = sheets.reduce((text, sheet) => text.replace(sheet, ""), html);
        const apps = Object.keys(bundle).filter((file) => /^assets\/app-[\w-]+\.js$/.test(file));
        return {
          html: rest.replace(/ *<script type="module"/, (script) => sheets.join("") + script),
          tags: apps.map((file) => ({
            tag: "link",
            injectTo: "head" as const,
            attrs: { rel: "modulepreload", crossorigin: true, href: `/console/${file}` },
          })),
        };
      },
    },
  };
}

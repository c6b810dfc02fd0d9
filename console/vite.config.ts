import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** What the first script needs. */
const FIRST =
  /node_modules\/(react|openapi-fetch)\/|\/src\/app\/(firstRequests|parts|routes|token)\.ts$|\/src\/api\/early\.ts$/;

/** What every place needs: it is one file, so that a place is not opened by a dozen requests. */
const APP =
  /node_modules\/(react-dom|scheduler|@tanstack|openapi-react-query)\/|\/src\/(app|api|design)\/(?!Chart|chart|layout).*\.tsx?$/;

export default defineConfig({
  base: "/console/",
  plugins: [react(), preloadApp()],
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
  test: { environment: "node", include: ["src/**/*.test.{ts,tsx}"] },
});

/** Lets the browser load the app while it still reads the first script. */
function preloadApp(): Plugin {
  return {
    name: "preload-app",
    transformIndexHtml: {
      order: "post",
      handler: (_, { bundle = {} }) =>
        Object.keys(bundle)
          .filter((file) => /^assets\/app-[\w-]+\.js$/.test(file))
          .map((file) => ({
            tag: "link",
            injectTo: "head" as const, // after the style sheet, which is needed sooner
            attrs: { rel: "modulepreload", crossorigin: true, href: `/console/${file}` },
          })),
    },
  };
}

import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  base: "/console/",
  plugins: [react()],
  build: {
    outDir: "../covey/console/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false }, // the polyfill is an inline script, which the page's policy forbids
  },
  server: { proxy: { "/console/api": "http://127.0.0.1:6580" } },
  test: { environment: "node", include: ["src/**/*.test.{ts,tsx}"] },
});

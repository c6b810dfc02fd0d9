import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";

/** Draws the page into an element. */
export function start(root: HTMLElement): void {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}

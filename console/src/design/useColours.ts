import { useSyncExternalStore } from "react";

/** A text that changes with the theme: what is drawn on a canvas is drawn anew then. */
export function useColours(): string {
  return useSyncExternalStore(
    subscribe,
    () => getComputedStyle(document.documentElement).colorScheme + dark(),
  );
}

function dark(): string {
  const chosen = document.documentElement.dataset.theme;
  return chosen ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

function subscribe(changed: () => void): () => void {
  const query = matchMedia("(prefers-color-scheme: dark)");
  const observer = new MutationObserver(changed);
  observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  query.addEventListener("change", changed);
  return () => {
    observer.disconnect();
    query.removeEventListener("change", changed);
  };
}

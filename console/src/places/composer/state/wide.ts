// Whether the canvas has the whole width, kept in this browser.

import { useCallback, useState } from "react";

const KEY = "covey.composer.wide";

function kept(): boolean {
  try {
    return window.localStorage.getItem(KEY) === "yes";
  } catch {
    return false;
  }
}

export function useWide(): [boolean, (isWide: boolean) => void] {
  const [isWide, setWide] = useState(kept);
  const keep = useCallback((next: boolean) => {
    setWide(next);
    try {
      next ? window.localStorage.setItem(KEY, "yes") : window.localStorage.removeItem(KEY);
    } catch {
      // The browser keeps nothing for this page. The width lasts until it is closed.
    }
  }, []);
  return [isWide, keep];
}

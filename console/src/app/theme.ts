// Light or dark: as the system has it, until the user chooses.

export type Theme = "system" | "light" | "dark";
const KEY = "covey-theme";

/** The theme that the user chose. It is in force before anything is drawn. */
export function keptTheme(): Theme {
  return themeOf(attempt(() => localStorage.getItem(KEY)));
}

export function themeOf(text: string | null | undefined): Theme {
  return text === "light" || text === "dark" ? text : "system";
}

export function applyTheme(theme: Theme): void {
  if (theme === "system") {
    delete document.documentElement.dataset.theme;
  } else {
    document.documentElement.dataset.theme = theme;
  }
}

/** The theme is in force at once, and kept. */
export function chooseTheme(theme: Theme): void {
  applyTheme(theme);
  attempt(() => (theme === "system" ? localStorage.removeItem(KEY) : localStorage.setItem(KEY, theme)));
}

/** Browsers can forbid pages to keep anything; the theme then lasts until the page is closed. */
function attempt<Value>(act: () => Value): Value | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}

import { useState } from "react";
import { chooseTheme, keptTheme, type Theme } from "./theme";

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState<Theme>(keptTheme);
  return [
    theme,
    (chosen) => {
      chooseTheme(chosen);
      setTheme(chosen);
    },
  ];
}

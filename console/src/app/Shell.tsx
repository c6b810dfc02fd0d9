import type { ReactNode } from "react";
import { $api } from "../api/client";
import { Badge } from "../design/Badge";
import { Select } from "../design/Field";
import icon from "./icon.svg";
import { hrefOf, PLACES, type Place, TITLES } from "./routes";
import { type Theme, useTheme } from "./theme";

/** The frame of every place: its name, the way to the others, the theme. */
export function Shell({ place, children }: { place: Place; children: ReactNode }) {
  const { data: about } = $api.useQuery("get", "/console/api/about");
  const [theme, setTheme] = useTheme();
  return (
    <div className="shell">
      <button type="button" className="skip button" onClick={() => document.getElementById("main")?.focus()}>
        Skip to the content
      </button>
      <header className="shell-top">
        <span className="shell-name">
          <img src={icon} alt="" width={24} height={24} />
          Covey
        </span>
        <span className="shell-where" title={about?.directory}>
          {about?.directory ?? ""}
        </span>
        {about !== undefined && <Badge>{about.role}</Badge>}
        <Select
          label="Theme"
          hideLabel
          value={theme}
          options={[
            ["system", "System theme"],
            ["light", "Light"],
            ["dark", "Dark"],
          ]}
          onChange={(value) => setTheme(value as Theme)}
        />
      </header>
      <nav className="shell-places" aria-label="Places">
        <ul>
          {PLACES.map((one) => (
            <li key={one}>
              <a href={hrefOf(one)} aria-current={one === place ? "page" : undefined}>
                {TITLES[one]}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      {children}
    </div>
  );
}

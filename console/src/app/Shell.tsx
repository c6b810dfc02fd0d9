import type { ReactNode } from "react";
import { $api } from "../api/client";
import { Badge } from "../design/Badge";
import { Select } from "../design/Field";
import { Frame } from "./Frame";
import type { Place } from "./routes";
import { useUser } from "./session";
import type { Theme } from "./theme";
import { useTheme } from "./useTheme";

/** The frame of every place: its name, the way to the others, the theme. */
export function Shell({ place, children }: { place: Place; children: ReactNode }) {
  const { data: about } = $api.useQuery("get", "/console/api/about");
  const { name, role } = useUser();
  const [theme, setTheme] = useTheme();
  return (
    <>
      <button type="button" className="skip button" onClick={() => document.getElementById("main")?.focus()}>
        Skip to the content
      </button>
      <Frame
        place={place}
        top={
          <>
            <span className="shell-where" title={about?.directory}>
              {about?.directory ?? ""}
            </span>
            <Badge>{name === role ? role : `${name}, ${role}`}</Badge>
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
          </>
        }
      >
        {children}
      </Frame>
    </>
  );
}

// Who uses the page. The token of the printed address is exchanged for a cookie and taken out of the address at once.

import { createContext, useCallback, useContext, useEffect, useState } from "react";
import { api, setSessionToken } from "../api/client";
import { type ApiProblem, asProblem } from "../api/problem";
import type { components } from "../api/schema";
import { takeToken } from "./token";

export type Session = components["schemas"]["Session"];
export type Role = Session["role"];
type Credentials = components["schemas"]["Credentials"];

const RANK: Readonly<Record<Role, number>> = { reader: 1, author: 2, operator: 3 };

export type SessionState =
  | { kind: "opening" }
  | { kind: "open"; session: Session }
  | { kind: "refused"; problem: ApiProblem };

export const SessionContext = createContext<Session | undefined>(undefined);

/** Whether the user of the page has a role, or a larger one. */
export function useMay(role: Role): boolean {
  const session = useContext(SessionContext);
  return session !== undefined && RANK[session.role] >= RANK[role];
}

export function useSession(): { state: SessionState; open: (credentials: Credentials) => void } {
  const [state, setState] = useState<SessionState>({ kind: "opening" });
  const open = useCallback((credentials: Credentials) => {
    setState({ kind: "opening" });
    api.POST("/console/api/session", { body: credentials }).then(
      ({ data }) => {
        if (data !== undefined) {
          setSessionToken(data.csrf);
          setState({ kind: "open", session: data });
        }
      },
      (error: unknown) => setState({ kind: "refused", problem: asProblem(error) }),
    );
  }, []);
  useEffect(() => open(takeToken()), [open]);
  return { state, open };
}

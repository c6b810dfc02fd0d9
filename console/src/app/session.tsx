// Who uses the page. The token of the printed address is exchanged for a cookie and taken out of the address at once.

import { createContext, useCallback, useContext, useEffect, useRef, useState } from "react";
import { api, queries, setSessionToken, watchSession } from "../api/client";
import { ApiProblem, asProblem } from "../api/problem";
import type { components } from "../api/schema";
import { takeToken } from "./token";

export type Session = components["schemas"]["Session"];
export type Role = Session["role"];
export type Credentials = components["schemas"]["Credentials"];

const RANK: Readonly<Record<Role, number>> = { reader: 1, author: 2, operator: 3 };

export type SessionState =
  | { kind: "opening" }
  | { kind: "open"; session: Session }
  | { kind: "refused"; problem: ApiProblem; credentials: Credentials };

export const SessionContext = createContext<Session | undefined>(undefined);

/** The user of the page. */
export function useUser(): Session {
  const session = useContext(SessionContext);
  if (session === undefined) {
    throw new Error("useUser needs a session around it");
  }
  return session;
}

/** Whether the user of the page has a role, or a larger one. */
export function useMay(role: Role): boolean {
  return RANK[useUser().role] >= RANK[role];
}

/** Whether a console asks for an API key, as one with keys does; otherwise the printed URL opens a session. */
export function asksForKey(problem: ApiProblem, credentials: Credentials): boolean {
  return problem.code === "KEY_NEEDED" || credentials.key != null;
}

/** Why a session that was opened again is not what the user had; undefined: the user has the same role, or a larger one. */
export function demotion(before: Role | undefined, after: Role): ApiProblem | undefined {
  if (before === undefined || RANK[after] >= RANK[before]) {
    return undefined;
  }
  return new ApiProblem({
    status: 401,
    code: "SESSION_MISSING",
    detail: `The session of the ${before} has ended.`,
    mend: "Open again the URL that `covey console` printed. What you have edited in the composer is kept in this tab.",
  });
}

export function useSession(): { state: SessionState; open: (credentials: Credentials) => void } {
  const [state, setState] = useState<SessionState>({ kind: "opening" });
  const last = useRef<{ role?: Role; token?: string }>({});

  const request = useCallback(async (credentials: Credentials, least?: Role): Promise<void> => {
    try {
      const { data } = await api.POST("/console/api/session", { body: credentials });
      if (data === undefined) {
        return;
      }
      const problem = demotion(least, data.role);
      if (problem !== undefined) {
        setState({ kind: "refused", problem, credentials });
        return;
      }
      setSessionToken(data.csrf);
      last.current = { role: data.role, ...(credentials.token ? { token: credentials.token } : {}) };
      setState({ kind: "open", session: data });
    } catch (error) {
      setState({ kind: "refused", problem: asProblem(error), credentials });
    }
  }, []);

  const open = useCallback(
    (credentials: Credentials) => {
      setState({ kind: "opening" });
      queries.clear(); // what another user has read
      void request(credentials);
    },
    [request],
  );

  useEffect(() => {
    open(takeToken());
    // The page stays while its session is opened again, with all that is written in it.
    watchSession(() => {
      const { role, token } = last.current;
      void request(token === undefined ? {} : { token }, role).then(() => queries.invalidateQueries());
    });
    return () => watchSession(() => undefined);
  }, [open, request]);
  return { state, open };
}

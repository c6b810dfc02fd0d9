import { QueryClientProvider } from "@tanstack/react-query";
import { type ComponentType, lazy, Suspense, useEffect, useRef } from "react";
import { queries } from "../api/client";
import { Spinner } from "../design/Progress";
import { Boundary } from "./Boundary";
import { KeyForm } from "./KeyForm";
import { type Place, TITLES, useRoute } from "./routes";
import { Shell } from "./Shell";
import { SessionContext, useSession } from "./session";

const PAGES: Readonly<Record<Place, ComponentType>> = {
  composer: lazy(() => import("../places/composer")),
  features: lazy(() => import("../places/features")),
  budgets: lazy(() => import("../places/budgets")),
  releases: lazy(() => import("../places/releases")),
  fleet: lazy(() => import("../places/fleet")),
  lab: lazy(() => import("../places/lab")),
  models: lazy(() => import("../places/models")),
};

export function App() {
  const { state, open } = useSession();
  switch (state.kind) {
    case "opening":
      return <Spinner label="Opening the console" />;
    case "refused":
      return <KeyForm problem={state.problem} onKey={(key) => open({ key })} />;
    case "open":
      return (
        <QueryClientProvider client={queries}>
          <SessionContext value={state.session}>
            <Places />
          </SessionContext>
        </QueryClientProvider>
      );
  }
}

function Places() {
  const { place } = useRoute();
  const main = useRef<HTMLElement>(null);
  const shown = useRef(place);
  useEffect(() => {
    document.title = `${TITLES[place]} – Covey console`;
    if (shown.current !== place) {
      shown.current = place;
      main.current?.focus(); // a screen reader begins to read the new place
    }
  }, [place]);
  const Page = PAGES[place];
  return (
    <Shell place={place}>
      <main id="main" ref={main} tabIndex={-1}>
        <Boundary key={place}>
          <Suspense fallback={<Spinner label={`Opening ${TITLES[place]}`} />}>
            <Page />
          </Suspense>
        </Boundary>
      </main>
    </Shell>
  );
}

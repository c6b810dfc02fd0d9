import { QueryClientProvider } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { queries } from "../api/client";
import { Boundary } from "./Boundary";
import { OpeningPage } from "./Frame";
import { KeyForm } from "./KeyForm";
import { NoSession } from "./NoSession";
import { PartOfPage } from "./PartOfPage";
import { PAGES } from "./pages";
import { TITLES, useRoute } from "./routes";
import { Shell } from "./Shell";
import { asksForKey, SessionContext, useSession } from "./session";

export function App() {
  const { state, open } = useSession();
  switch (state.kind) {
    case "opening":
      return <OpeningPage />;
    case "refused":
      return asksForKey(state.problem, state.credentials) ? (
        <KeyForm problem={state.problem} onKey={(key) => open({ key })} />
      ) : (
        <NoSession
          problem={state.problem}
          onRetry={() => open(state.credentials)}
          onReader={() => open({})}
        />
      );
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
  const { place, path } = useRoute();
  const main = useRef<HTMLElement>(null);
  const shown = useRef(place);
  useEffect(() => {
    document.title = `${TITLES[place]} – Covey console`;
    if (shown.current !== place) {
      shown.current = place;
      main.current?.focus(); // a screen reader begins to read the new place
    }
  }, [place]);
  return (
    <Shell place={place}>
      <main id="main" ref={main} tabIndex={-1}>
        <Boundary key={place} address={path.join("/")}>
          <PartOfPage part={PAGES[place]} label={`Opening ${TITLES[place]}`} />
        </Boundary>
      </main>
    </Shell>
  );
}

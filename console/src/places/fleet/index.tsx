import { Loaded } from "../../design/Loaded";
import { Page } from "../../design/Page";
import { CoverageCard } from "./CoverageCard";
import { DriftCard } from "./DriftCard";
import "./fleet.css";
import { Live } from "./Live";
import { ArrivalsCard, PanesCard } from "./PanesCard";
import { PlanCard } from "./PlanCard";
import { RolesCard } from "./RolesCard";
import { SitesCard } from "./SitesCard";
import { useFleet } from "./useFleet";

export default function Fleet() {
  const { query, stream, changed } = useFleet();
  return (
    <Page
      title="Fleet"
      words={["plan", "pane", "opened", "void", "freed", "coverage", "drift", "ledger"]}
      lead="Sites, services, panes and the collection under way, as they change."
      tools={<Live stream={stream} changed={changed} />}
    >
      <Loaded query={query} label="the fleet">
        {(state) => (
          <>
            <PlanCard state={state} />
            <SitesCard state={state} />
            <PanesCard state={state} />
            <CoverageCard
              views={state.panes.views.map((one) => one.view)}
              newest={state.arrivals.panes[0]?.seq}
            />
            <RolesCard state={state} />
            <DriftCard newest={state.arrivals.panes[0]?.seq} />
            <ArrivalsCard state={state} />
          </>
        )}
      </Loaded>
    </Page>
  );
}

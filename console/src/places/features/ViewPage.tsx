import { $api } from "../../api/client";
import { hrefOf, navigate } from "../../app/routes";
import { Badge } from "../../design/Badge";
import { count, counted, moment } from "../../design/format";
import { Loaded } from "../../design/Loaded";
import { Page } from "../../design/Page";
import { Tabs } from "../../design/Tabs";
import { AllKeys } from "./AllKeys";
import { Elsewhere } from "./Elsewhere";
import { MEANINGS, TONES, type ViewForm } from "./freshness";
import { Moment } from "./Moment";
import { hrefOfState, parseState, TABS, type Tab, type ViewState } from "./state";
import type { TabProps } from "./tab";
import { REFRESH_MS } from "./useSeries";
import { Values } from "./Values";

const TITLES: Readonly<Record<Tab, string>> = {
  values: "Values",
  keys: "All keys",
  moment: "At a moment",
  elsewhere: "Export",
};

/** One view: its values by key over time, all keys at once, what a label saw, and how to read it elsewhere. */
export function ViewPage({ view, query }: { view: string; query: URLSearchParams }) {
  const state = parseState(view, query);
  const found = $api.useQuery(
    "get",
    "/console/api/features/{view}",
    { params: { path: { view } } },
    { refetchInterval: REFRESH_MS },
  );
  const change = (part: Partial<ViewState>) =>
    navigate(hrefOfState({ ...state, ...part }), { replace: true });
  return (
    <Page title={view} tools={<a href={hrefOf("features")}>All views</a>}>
      <Loaded query={found} label={view}>
        {(form) => (
          <>
            <About view={form} />
            <Tabs
              label="Parts of the view"
              tabs={TABS.map((tab) => [tab, TITLES[tab]] as const)}
              chosen={state.tab}
              onChoose={(tab) => change({ tab: TABS.find((one) => one === tab) ?? "values" })}
            >
              <Part view={form} state={state} change={change} />
            </Tabs>
          </>
        )}
      </Loaded>
    </Page>
  );
}

function Part(props: TabProps) {
  switch (props.state.tab) {
    case "values":
      return <Values {...props} />;
    case "keys":
      return <AllKeys {...props} />;
    case "moment":
      return <Moment {...props} />;
    case "elsewhere":
      return <Elsewhere {...props} />;
  }
}

function About({ view }: { view: ViewForm }) {
  const entity = view.entity.map((one) => one.name).join(", ");
  const facts: [string, string][] = [
    ["Entity", view.constant ? `${entity} (constant)` : `${entity}, ${counted(view.keys, "key")}`],
    ["Pane", view.windows.length === 0 ? view.pane : `${view.pane}, windows ${view.windows.join(", ")}`],
    ["Newest pane ends", moment(view.newest_end)],
    ["Panes", `${count(view.opened)} opened, ${count(view.void)} void, ${count(view.missing)} missing`],
    ["Version", `v${view.version} of ${view.versions.length}`],
    ...(view.owner === "" ? [] : [["Owner", view.owner] as [string, string]]),
  ];
  return (
    <>
      {view.description !== "" && <p className="features-description">{view.description}</p>}
      <dl className="features-about">
        <div>
          <dt>State</dt>
          <dd title={MEANINGS[view.freshness]}>
            <Badge tone={TONES[view.freshness]}>{view.freshness}</Badge>
          </dd>
        </div>
        {facts.map(([name, text]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{text}</dd>
          </div>
        ))}
        {Object.entries(view.tags).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}

import { keepPreviousData } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { $api } from "../../api/client";
import type { components } from "../../api/schema";
import { hrefOf, navigate, useRoute } from "../../app/routes";
import { Card } from "../../design/Card";
import { Empty } from "../../design/Empty";
import { Checkbox, Select, TextField } from "../../design/Field";
import { Loaded } from "../../design/Loaded";
import { inline } from "../../design/text";
import { useSettled } from "../../design/useSettled";
import {
  asDefined,
  type Choice,
  daysError,
  limitError,
  PANES,
  type PricedView,
  priceError,
  requestOf,
  type WhatIfRequest,
} from "./choice";
import { useComposed } from "./useComposed";
import { WhatIfResult } from "./WhatIfResult";

const STORE = "store";
const COMPOSER = "composer";
/** The cost of a half-typed number is not asked for. */
const SETTLE_MS = 200;

/** What views would cost if they were collected every day. Nothing is charged. */
export function WhatIf() {
  const ofComposer = useRoute().query.get("of") === COMPOSER;
  return (
    <>
      <Select
        label="Views"
        value={ofComposer ? COMPOSER : STORE}
        options={[
          [STORE, "registered in the store"],
          [COMPOSER, "in the composer, also unsaved ones"],
        ]}
        onChange={(of) => navigate(hrefOf("budgets", ["what-if"], of === STORE ? {} : { of }))}
      />
      {ofComposer ? <Composed /> : <Registered />}
    </>
  );
}

function Registered() {
  const views = $api.useQuery("get", "/console/api/budgets/views");
  return (
    <Loaded query={views} label="the views">
      {(found) =>
        found.views.length === 0 ? (
          <Empty>{inline("The store has no view yet. `covey apply` registers the views of a file.")}</Empty>
        ) : (
          <Planned views={found.views} />
        )
      }
    </Loaded>
  );
}

function Composed() {
  const { text, unsaved, query } = useComposed(true);
  return (
    <Loaded query={query} label="the views of the composer">
      {(found) => (
        <>
          {found.problems.length > 0 && <Unpriced problems={found.problems} />}
          {found.views.length === 0 ? (
            <Empty>The composer has no view with a price yet.</Empty>
          ) : (
            <Planned views={found.views} text={text} unsaved={unsaved} />
          )}
        </>
      )}
    </Loaded>
  );
}

/** Why some views of the text have no price. */
function Unpriced({ problems }: { problems: readonly Unknown[] }) {
  return (
    <Card title="Not priced">
      <ul>
        {problems.map((one) => (
          <li key={`${one.node} ${one.field} ${one.line} ${one.message}`}>
            {one.node !== "" && <code>{one.node}</code>} {inline(one.message)}
          </li>
        ))}
      </ul>
    </Card>
  );
}

interface PlannedProps {
  views: readonly PricedView[];
  /** The text that defines the views; undefined: they are registered. */
  text?: string | undefined;
  unsaved?: boolean;
}

function Planned({ views, text, unsaved = false }: PlannedProps) {
  const [choices, setChoices] = useState<ReadonlyMap<string, Choice>>(new Map());
  const [days, setDays] = useState("365");
  const [limit, setLimit] = useState("10");
  const request = useSettled(
    useMemo(() => requestOf(views, choices, days, limit), [views, choices, days, limit]),
    SETTLE_MS,
  );
  const choose = (view: string, choice: Choice) => setChoices(new Map([...choices, [view, choice]]));
  return (
    <>
      <Card title="Collect every day">
        <ul className="choices">
          {views.map((view) => (
            <ViewChoice
              key={view.view}
              view={view}
              choice={choices.get(view.view) ?? asDefined(view)}
              onChange={(choice) => choose(view.view, choice)}
            />
          ))}
        </ul>
        <div className="span-fields">
          <TextField label="For so many days" value={days} onChange={setDays} error={daysError(days)} />
          <TextField
            label="How long does ε stay at most"
            value={limit}
            onChange={setLimit}
            error={limitError(limit)}
          />
        </div>
      </Card>
      {request === undefined ? (
        <Empty>Choose a view, and a price.</Empty>
      ) : (
        <Answer request={request} text={text} unsaved={unsaved} />
      )}
    </>
  );
}

type Unknown = components["schemas"]["GraphProblem"];

function ViewChoice({
  view,
  choice,
  onChange,
}: {
  view: PricedView;
  choice: Choice;
  onChange: (choice: Choice) => void;
}) {
  const unit = view.mechanism === "gaussian" ? "ρ" : "ε";
  return (
    <li className="choice">
      <Checkbox
        label={view.view}
        checked={choice.chosen}
        onChange={(chosen) => onChange({ ...choice, chosen })}
      />
      <TextField
        label={`${unit} of a client-day of ${view.view}`}
        hideLabel
        value={choice.price}
        disabled={!choice.chosen}
        onChange={(price) => onChange({ ...choice, price })}
        error={choice.chosen ? priceError(choice.price) : undefined}
        hint={`${unit} of a client-day`}
      />
      <Select
        label={`Pane of ${view.view}`}
        hideLabel
        value={choice.pane}
        disabled={!choice.chosen}
        options={PANES.map((pane) => [pane, `pane of ${pane}`])}
        onChange={(pane) => onChange({ ...choice, pane })}
      />
    </li>
  );
}

interface AnswerProps {
  request: WhatIfRequest;
  text: string | undefined;
  unsaved: boolean;
}

function Answer({ request, text, unsaved }: AnswerProps) {
  const registered = $api.useQuery(
    "post",
    "/console/api/budgets/what-if",
    { body: request },
    { enabled: text === undefined, placeholderData: keepPreviousData },
  );
  const composed = $api.useQuery(
    "post",
    "/console/api/composer/what-if",
    { body: { text: text ?? "", ...request } },
    { enabled: text !== undefined, placeholderData: keepPreviousData },
  );
  return (
    <Loaded query={text === undefined ? registered : composed} label="the cost">
      {(found) => <WhatIfResult found={found} unsaved={unsaved} />}
    </Loaded>
  );
}

import { useState } from "react";
import { $api } from "../../../api/client";
import { hrefOf } from "../../../app/routes";
import { Badge } from "../../../design/Badge";
import { Button } from "../../../design/Button";
import { Card } from "../../../design/Card";
import { Command } from "../../../design/Command";
import { Facts } from "../../../design/Facts";
import { count } from "../../../design/format";
import { Loaded } from "../../../design/Loaded";
import { Table } from "../../../design/Table";
import { Graph } from "./Graph";
import { type Lineage as Found, KINDS, neighboursOf, type Part } from "./parts";

/** More parts take seconds to lay out. */
const MOST_DRAWN = 400;

/** On a narrow page, or with very many parts, the cards would be too small to read. */
function usual(parts: number): "graph" | "table" {
  return parts > MOST_DRAWN || matchMedia("(width < 40rem)").matches ? "table" : "graph";
}

/** Where values come from and go to: from the source to the models. */
export default function Lineage() {
  const lineage = $api.useQuery("get", "/console/api/lineage");
  const [chosen, setChosen] = useState<string | undefined>();
  const [wanted, setForm] = useState<"graph" | "table">();
  return (
    <Loaded query={lineage} label="the lineage">
      {(found) => {
        const part = found.nodes.find((one) => one.id === chosen);
        const form = wanted ?? usual(found.nodes.length);
        return (
          <>
            <div className="lineage-forms">
              <Button pressed={form === "graph"} onClick={() => setForm("graph")}>
                Graph
              </Button>
              <Button pressed={form === "table"} onClick={() => setForm("table")}>
                Table
              </Button>
            </div>
            {form === "graph" ? (
              <Graph lineage={found} chosen={part?.id} onChoose={setChosen} />
            ) : (
              <PartTable lineage={found} onChoose={setChosen} />
            )}
            {part === undefined ? (
              <p>Choose a part to see what it was made from, and what was made from it.</p>
            ) : (
              <PartCard lineage={found} part={part} />
            )}
            <Command>{found.command}</Command>
            {found.emission === null ? (
              <Command about="Send it to a collector of OpenLineage events">
                {found.openlineage_command}
              </Command>
            ) : (
              <EmissionState emission={found.emission} />
            )}
          </>
        );
      }}
    </Loaded>
  );
}

function PartTable({ lineage, onChoose }: { lineage: Found; onChoose: (id: string) => void }) {
  return (
    <Table
      caption="Parts of the lineage"
      rows={lineage.nodes}
      rowKey={(part) => part.id}
      columns={[
        {
          key: "kind",
          title: "Kind",
          cell: (part) => KINDS[part.kind].title,
          order: (part) => Object.keys(KINDS).indexOf(part.kind),
        },
        {
          key: "name",
          title: "Name",
          cell: (part) => <Button onClick={() => onChoose(part.id)}>{part.name}</Button>,
          order: (part) => part.name,
        },
        {
          key: "from",
          title: "Made from",
          cell: (part) => (
            <span className="wrapped">{neighboursOf(lineage, part.id).from.join("; ") || "–"}</span>
          ),
        },
      ]}
    />
  );
}

function PartCard({ lineage, part }: { lineage: Found; part: Part }) {
  const { from, into } = neighboursOf(lineage, part.id);
  return (
    <Card title={`${KINDS[part.kind].title}: ${part.name}`} tools={<PlaceLink part={part} />}>
      {part.problem !== null && <p className="failed-check">{part.problem}</p>}
      <Facts
        facts={[
          ...part.facts.map((fact) => [capital(fact.name), fact.value] as const),
          ["Made from", from.join("; ") || "nothing else"],
          ["Goes into", into.join("; ") || "nothing yet"],
        ]}
      />
    </Card>
  );
}

/** What the console sends to a collector by itself. */
function EmissionState({ emission }: { emission: NonNullable<Found["emission"]> }) {
  return (
    <p>
      <Badge tone={emission.problem === null ? "good" : "bad"}>OpenLineage</Badge> {count(emission.sent)}{" "}
      events were sent to {emission.url}.
      {emission.problem === null ? "" : ` The last attempt failed: ${emission.problem}`}
    </p>
  );
}

/** The place that shows more of a part. */
function PlaceLink({ part }: { part: Part }) {
  const name = part.id.slice(part.id.indexOf(":") + 1);
  const view = name.replace(/@v\d+$/, "");
  switch (part.kind) {
    case "view":
      return <a href={hrefOf("features", [view])}>Its values</a>;
    case "release":
      return <a href={hrefOf("releases", [], { view })}>Its list</a>;
    case "model":
      return <a href={hrefOf("models", [view])}>Its versions</a>;
    default:
      return null;
  }
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

import { $api } from "../../api/client";
import { hrefOf, navigate } from "../../app/routes";
import { Badge } from "../../design/Badge";
import { Card } from "../../design/Card";
import { Empty } from "../../design/Empty";
import { TextField } from "../../design/Field";
import { count, moment } from "../../design/format";
import { Loaded } from "../../design/Loaded";
import { Page } from "../../design/Page";
import { type Column, Table } from "../../design/Table";
import { inline } from "../../design/text";
import { duration, MEANINGS, matches, TONES, type ViewForm } from "./freshness";
import { ANY_VIEW } from "./LookPage";

/** Every view of the store, and the way to a look at a moment. */
export function ViewList({ search }: { search: string }) {
  const query = $api.useQuery("get", "/console/api/features");
  return (
    <Page
      title="Features"
      words={["pane", "window", "opened", "void", "error"]}
      lead="The views of the store. Each value has its standard error and a 95 % interval."
      tools={
        <>
          <a href={hrefOf("features", [ANY_VIEW])}>Look at a moment</a>
          <TextField
            label="Search"
            type="search"
            value={search}
            placeholder="name, owner, tag, …"
            onChange={(text) =>
              navigate(hrefOf("features", [], text === "" ? {} : { search: text }), { replace: true })
            }
          />
        </>
      }
    >
      <Loaded query={query} label="the views">
        {(found) =>
          found.views.length === 0 ? (
            <Empty>
              {inline(
                "The store has no view yet. Put one together in the composer and run it there, or collect those of a file with `covey run VIEWS.py --events FILE`.",
              )}
            </Empty>
          ) : (
            <>
              <Views views={found.views.filter((one) => matches(one, search))} now={found.now} />
              {found.services.length + found.on_demand.length > 0 && (
                <Card title="Services and on-demand features">
                  <ul className="features-refs">
                    {found.services.map((one) => (
                      <li key={one.name}>
                        <a href={hrefOf("features", [ANY_VIEW], { service: one.name })}>{one.name}</a>:{" "}
                        {one.refs.join(", ")}
                      </li>
                    ))}
                    {found.on_demand.map((one) => (
                      <li key={one.name}>
                        {one.outputs.map((output) => `${one.name}:${output}`).join(", ")} from{" "}
                        {[...one.features, ...Object.keys(one.inputs)].join(", ")}
                      </li>
                    ))}
                  </ul>
                </Card>
              )}
            </>
          )
        }
      </Loaded>
    </Page>
  );
}

function Views({ views, now }: { views: readonly ViewForm[]; now: number }) {
  if (views.length === 0) {
    return <Empty>No view matches this search.</Empty>;
  }
  const columns: Column<ViewForm>[] = [
    {
      key: "view",
      title: "View",
      order: (one) => one.name,
      cell: (one) => (
        <>
          <a href={hrefOf("features", [one.name])}>{one.name}</a>
          {one.description !== "" && <span className="features-description">{one.description}</span>}
        </>
      ),
    },
    {
      key: "state",
      title: "State",
      order: (one) => one.freshness,
      cell: (one) => (
        <span title={MEANINGS[one.freshness]}>
          <Badge tone={TONES[one.freshness]}>{one.freshness}</Badge>
        </span>
      ),
    },
    {
      key: "newest",
      title: "Newest pane ends",
      order: (one) => one.newest_end,
      cell: (one) =>
        one.newest_end === null ? "–" : `${moment(one.newest_end)} (${duration(now - one.newest_end)} ago)`,
    },
    { key: "pane", title: "Pane", order: (one) => one.pane_us, cell: (one) => one.pane },
    {
      key: "keys",
      title: "Keys",
      numeric: true,
      order: (one) => one.keys,
      cell: (one) => (one.constant ? "1 (constant)" : count(one.keys)),
    },
    {
      key: "features",
      title: "Features",
      numeric: true,
      order: (one) => one.features.length,
      cell: (one) => one.features.length,
    },
    {
      key: "opened",
      title: "Opened",
      numeric: true,
      order: (one) => one.opened,
      cell: (one) => count(one.opened),
    },
    { key: "void", title: "Void", numeric: true, order: (one) => one.void, cell: (one) => count(one.void) },
    {
      key: "missing",
      title: "Missing",
      numeric: true,
      order: (one) => one.missing,
      cell: (one) => count(one.missing),
    },
    { key: "version", title: "Version", order: (one) => one.version, cell: (one) => `v${one.version}` },
    ...(views.some((one) => one.owner !== "" || Object.keys(one.tags).length > 0) ? [OWNER] : []),
  ];
  return <Table caption="Views" columns={columns} rows={views} rowKey={(one) => one.name} />;
}

const OWNER: Column<ViewForm> = {
  key: "owner",
  title: "Owner and tags",
  order: (one) => one.owner,
  cell: (one) => (
    <>
      {one.owner}{" "}
      {Object.entries(one.tags).map(([name, value]) => (
        <Badge key={name}>{`${name}=${value}`}</Badge>
      ))}
    </>
  ),
};

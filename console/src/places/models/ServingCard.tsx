import { Button } from "../../design/Button";
import { Card } from "../../design/Card";
import { moment } from "../../design/format";
import { Table } from "../../design/Table";
import type { Model } from "./types";
import { percent, sharesText } from "./weights";

interface ServingCardProps {
  model: Model;
  mayChange: boolean;
  onPromote: () => void;
  onRollBack: () => void;
  onDelete: () => void;
}

/** Which versions answer requests, and what was in force when. */
export function ServingCard({ model, mayChange, onPromote, onRollBack, onDelete }: ServingCardProps) {
  return (
    <Card
      title="In force"
      tools={
        mayChange && (
          <div className="page-tools">
            <Button kind="primary" onClick={onPromote}>
              Promote …
            </Button>
            <Button
              onClick={onRollBack}
              disabled={model.before === null}
              title={
                model.before === null
                  ? "No other version was in force before"
                  : "Bring back what was in force before"
              }
            >
              Roll back …
            </Button>
            <Button kind="danger" onClick={onDelete}>
              Delete model …
            </Button>
          </div>
        )
      }
    >
      <p>
        {sharesText(model.in_force)} of the requests
        {model.newest ? "; the newest version serves, and a registration takes over." : "; pinned."}
        {model.before !== null && ` A rollback brings back ${sharesText(model.before)}.`}
      </p>
      <div className="models-bar" aria-hidden="true">
        {model.in_force.map((one, index) => (
          <span
            key={one.version}
            className="models-bar-part"
            style={{ flexGrow: one.share, borderColor: `var(--series-${(index % 8) + 1})` }}
          >
            v{one.version} {percent(one.share)}
          </span>
        ))}
      </div>
      {model.promotions.length > 0 && (
        <>
          <h3>History</h3>
          <Table
            caption={`Promotions of ${model.name}`}
            columns={[
              { key: "at", title: "At (UTC)", cell: (row) => moment(row.at), order: (row) => row.at },
              { key: "serving", title: "In force from then on", cell: (row) => row.serving },
              { key: "by", title: "By", cell: (row) => (row.rollback ? "a rollback" : "a promotion") },
            ]}
            rows={model.promotions}
            rowKey={(row) => `${row.at} ${row.serving} ${row.rollback}`}
            maxHeight="14rem"
          />
        </>
      )}
    </Card>
  );
}

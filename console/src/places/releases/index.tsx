import { PartOfPage } from "../../app/PartOfPage";
import { Part } from "../../app/part";
import { hrefOf, navigate, useRoute } from "../../app/routes";
import { Page } from "../../design/Page";
import { Tabs } from "../../design/Tabs";
import { ReleaseDetail } from "./ReleaseDetail";
import { ReleaseList } from "./ReleaseList";
import "./releases.css";

const LINEAGE = new Part(() => import("./lineage/Lineage"));
const TABS = [
  ["list", "Releases"],
  ["lineage", "Lineage"],
] as const;
const ID = /^[0-9a-f]{32}$/;

export default function Releases() {
  const { path } = useRoute();
  const part = path[0] === "lineage" ? "lineage" : "list";
  const release = path[0] !== undefined && ID.test(path[0]) ? path[0] : undefined;
  return (
    <Page
      title="Releases"
      words={["release", "pane", "opened", "void", "retracted", "freed", "plan", "rho", "epsilon", "error"]}
      lead="Every published pane with the terms under which it was opened, its signatures, and where values come from and go to."
    >
      <Tabs
        label="Parts of releases"
        tabs={TABS}
        chosen={part}
        onChoose={(key) => navigate(hrefOf("releases", key === "list" ? [] : [key]))}
      >
        <div className="stack">
          {part === "lineage" ? (
            <PartOfPage part={LINEAGE} label="Opening the lineage" />
          ) : release === undefined ? (
            <ReleaseList />
          ) : (
            <ReleaseDetail key={release} id={release} />
          )}
        </div>
      </Tabs>
    </Page>
  );
}

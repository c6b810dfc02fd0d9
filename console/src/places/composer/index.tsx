import { $api } from "../../api/client";
import type { components } from "../../api/schema";
import { Alert } from "../../design/Alert";
import { Loaded } from "../../design/Loaded";
import { Page } from "../../design/Page";
import type { Json } from "./graph/graph";
import type { Palette } from "./graph/palette";
import type { Source } from "./graph/sources";
import { Panel } from "./panel/Panel";
import { ComposerProvider, useComposer } from "./state/context";
import { faultOf, fileOf } from "./state/viewsFile";
import { Workbench } from "./Workbench";

const ONCE = { staleTime: Number.POSITIVE_INFINITY, refetchOnWindowFocus: false } as const;

/** Views composed by hand: the graph of the views file, its price and errors, its Python, and runs. */
export default function Composer() {
  const file = $api.useQuery("get", "/console/api/composer/file", {}, { ...ONCE, gcTime: 0 });
  const palette = $api.useQuery("get", "/console/api/composer/palette", {}, ONCE);
  const sources = $api.useQuery("get", "/console/api/composer/sources", {}, ONCE);
  return (
    <Page
      title="Composer"
      words={[
        "client",
        "client_day",
        "rho",
        "epsilon",
        "delta",
        "outsiders",
        "aggregator",
        "k",
        "clip",
        "pane",
        "window",
        "error",
      ]}
      lead="Put views together from parts, and see what they cost before anything is collected."
    >
      <Loaded query={file} label="the views file">
        {(read) => (
          <Loaded query={palette} label="the palette">
            {(types) => (
              <Loaded query={sources} label="the sources">
                {(known) => (
                  <ComposerProvider file={fileOf(read)} palette={paletteOf(types)} sources={sourcesOf(known)}>
                    <FaultOfFile />
                    <Workbench>
                      <Panel />
                    </Workbench>
                  </ComposerProvider>
                )}
              </Loaded>
            )}
          </Loaded>
        )}
      </Loaded>
    </Page>
  );
}

/** Why the text that is edited has no graph. */
function FaultOfFile() {
  const { file, editing } = useComposer();
  const fault = faultOf(file, editing.base.text);
  return (
    fault && (
      <Alert mend="Mend it under “Python”, with “Edit as text”.">
        {`The views file is no Python at line ${fault.line}, column ${fault.column}: ${fault.message}.`}
      </Alert>
    )
  );
}

function paletteOf(read: components["schemas"]["Palette"]): Palette {
  return { types: read.types.map((type) => ({ ...type, fields: type.fields.map(fieldOf) })) };
}

function fieldOf(field: components["schemas"]["FieldType"]): Palette["types"][number]["fields"][number] {
  return { ...field, default: (field.default ?? null) as Json, choices: field.choices ?? [] };
}

function sourcesOf(read: components["schemas"]["Sources"]): readonly Source[] {
  return read.sources;
}

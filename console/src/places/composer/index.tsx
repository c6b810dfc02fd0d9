import { $api } from "../../api/client";
import type { components } from "../../api/schema";
import { Loaded } from "../../design/Loaded";
import { Page } from "../../design/Page";
import type { Json } from "./graph/graph";
import type { Palette } from "./graph/palette";
import type { Source } from "./graph/sources";
import { Panel } from "./panel/Panel";
import { type AnsweredGraph, graphOf } from "./panel/wire";
import { ComposerProvider } from "./state/context";
import type { ViewsFile } from "./state/viewsFile";
import { Workbench } from "./Workbench";

const ONCE = { staleTime: Number.POSITIVE_INFINITY, refetchOnWindowFocus: false } as const;

/** Views composed by hand: the graph of the views file, its price and errors, its Python, and runs. */
export default function Composer() {
  const file = $api.useQuery("get", "/console/api/composer/file", {}, { ...ONCE, gcTime: 0 });
  const palette = $api.useQuery("get", "/console/api/composer/palette", {}, ONCE);
  const sources = $api.useQuery("get", "/console/api/composer/sources", {}, ONCE);
  return (
    <Page title="Composer">
      <Loaded query={file} label="the views file">
        {(read) => (
          <Loaded query={palette} label="the palette">
            {(types) => (
              <Loaded query={sources} label="the sources">
                {(known) => (
                  <ComposerProvider file={fileOf(read)} palette={paletteOf(types)} sources={sourcesOf(known)}>
                    {read.fault !== null && <Fault fault={read.fault} />}
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

function Fault({ fault }: { fault: components["schemas"]["SyntaxFault"] }) {
  return (
    <p className="problem" role="alert">
      The views file is no Python at line {fault.line}, column {fault.column}: {fault.message}. Mend it under
      “Python”, with “Edit as text”.
    </p>
  );
}

type Read = Omit<components["schemas"]["ViewsFile"], "graph"> & { readonly graph: AnsweredGraph };

function fileOf(read: Read): ViewsFile {
  const { path, text, sha256, editable, problems } = read;
  return { path, text, sha256, editable, whyNot: read.why_not, problems, graph: graphOf(read.graph) };
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

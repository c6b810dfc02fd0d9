// The answers of the API that this place shows.

import type { paths } from "../../api/schema";

type JsonOf<Operation extends { responses: { 200: { content: { "application/json": unknown } } } }> =
  Operation["responses"][200]["content"]["application/json"];

export type Models = JsonOf<paths["/console/api/models"]["get"]>;
export type Model = Models["models"][number];
export type Version = Model["versions"][number];
export type Metric = Version["metrics"][number];
export type Share = Model["in_force"][number];
export type Served = JsonOf<paths["/console/api/models/statistics"]["get"]>["versions"][number];

// The answers of the API that this place shows.

import type { paths } from "../../api/schema";

type JsonOf<Operation extends { responses: { 200: { content: { "application/json": unknown } } } }> =
  Operation["responses"][200]["content"]["application/json"];

export type FleetState = JsonOf<paths["/console/api/fleet"]["get"]>;
export type Coverage = JsonOf<paths["/console/api/fleet/coverage"]["get"]>;
export type Drift = JsonOf<paths["/console/api/fleet/drift"]["get"]>;
export type Site = FleetState["sites"]["sites"][number];
export type Plan = NonNullable<FleetState["plan"]["plan"]>;
export type EndedPlan = NonNullable<FleetState["plan"]["last"]>;
export type PanesOfView = FleetState["panes"]["views"][number];
export type Role = FleetState["roles"]["roles"][number];
export type Arrival = FleetState["arrivals"]["panes"][number];
export type DriftOfView = Drift["views"][number];

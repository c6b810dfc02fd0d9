// The answers of the API that this place shows.

import type { paths } from "../../api/schema";

export type LabRuns = paths["/console/api/lab/runs"]["get"]["responses"][200]["content"]["application/json"];
export type Run = LabRuns["runs"][number];
export type Report = LabRuns["reports"][number];

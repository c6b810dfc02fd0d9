// The code of each place is a file of its own. This file knows none of it.

import { Part } from "./part";
import type { Place } from "./routes";

export const PAGES: Readonly<Record<Place, Part>> = {
  composer: new Part(() => import("../places/composer")),
  features: new Part(() => import("../places/features")),
  budgets: new Part(() => import("../places/budgets")),
  releases: new Part(() => import("../places/releases")),
  fleet: new Part(() => import("../places/fleet")),
  lab: new Part(() => import("../places/lab")),
  models: new Part(() => import("../places/models")),
};

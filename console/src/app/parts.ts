// The parts of the page that are files of their own. This file knows none of their code.

import type { ComponentType } from "react";
import type { Place } from "./routes";

/** A part of the page, which is loaded when it is first needed. */
export class Part {
  /** What it shows; undefined: it is not loaded yet. */
  content: ComponentType | undefined;
  readonly #read: () => Promise<{ default: ComponentType }>;

  constructor(read: () => Promise<{ default: ComponentType }>) {
    this.#read = read;
  }

  async load(): Promise<ComponentType> {
    this.content ??= (await this.#read()).default;
    return this.content;
  }
}

export const PAGES: Readonly<Record<Place, Part>> = {
  composer: new Part(() => import("../places/composer")),
  features: new Part(() => import("../places/features")),
  budgets: new Part(() => import("../places/budgets")),
  releases: new Part(() => import("../places/releases")),
  fleet: new Part(() => import("../places/fleet")),
  lab: new Part(() => import("../places/lab")),
  models: new Part(() => import("../places/models")),
};

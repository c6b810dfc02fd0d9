import type { ComponentType } from "react";

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

import { Component, type ReactNode } from "react";
import { asProblem } from "../api/problem";
import { Problem } from "../design/Problem";

/** Shows a defect of one place, and leaves the rest of the page usable. */
export class Boundary extends Component<{ children: ReactNode }, { error: unknown }> {
  override state: { error: unknown } = { error: undefined };

  static getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error };
  }

  override render(): ReactNode {
    if (this.state.error === undefined) {
      return this.props.children;
    }
    return (
      <Problem problem={asProblem(this.state.error)} onRetry={() => this.setState({ error: undefined })} />
    );
  }
}

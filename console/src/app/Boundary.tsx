import { Component, type ReactNode } from "react";
import { asProblem } from "../api/problem";
import { Problem } from "../design/Problem";

interface BoundaryProps {
  /** What is shown inside of the place: at another address, a defect is tried again. */
  address: string;
  children: ReactNode;
}

/** Shows a defect of one place, and leaves the rest of the page usable. */
export class Boundary extends Component<BoundaryProps, { error: unknown }> {
  override state: { error: unknown } = { error: undefined };

  static getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error };
  }

  override componentDidUpdate(before: BoundaryProps): void {
    if (before.address !== this.props.address && this.state.error !== undefined) {
      this.setState({ error: undefined });
    }
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

import type { ReactNode } from "react";
import { asProblem } from "../api/problem";
import { Problem } from "./Problem";
import { Spinner } from "./Progress";

interface Query<Data> {
  data: Data | undefined;
  error: unknown;
  refetch: () => unknown;
}

interface LoadedProps<Data> {
  /** What `$api.useQuery` gave. */
  query: Query<Data>;
  label: string;
  children: (data: Data) => ReactNode;
}

/** An answer of the API once it is there; an error beside an older answer does not take that one away. */
export function Loaded<Data>({ query, label, children }: LoadedProps<Data>) {
  const failed = query.error ? (
    <Problem problem={asProblem(query.error)} onRetry={() => void query.refetch()} />
  ) : null;
  if (query.data === undefined) {
    return failed ?? <Spinner label={`Reading ${label}`} />;
  }
  return (
    <>
      {failed}
      {children(query.data)}
    </>
  );
}

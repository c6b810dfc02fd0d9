import { type ReactNode, useState } from "react";
import { asProblem } from "../api/problem";
import { Problem } from "./Problem";
import { Spinner } from "./Progress";

interface Query<Data> {
  data: Data | undefined;
  error: unknown;
  isFetching?: boolean;
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
  const { data, error, isFetching = false, refetch } = query;
  // A query forgets its error when it tries again; the page shows it until there is an answer.
  const [last, setLast] = useState<unknown>(error);
  if (error && error !== last) {
    setLast(error);
  } else if (!error && data !== undefined && last) {
    setLast(null);
  }
  const failed = last ? (
    <Problem problem={asProblem(last)} onRetry={() => void refetch()} retrying={isFetching} />
  ) : null;
  if (data === undefined) {
    return failed ?? <Spinner label={`Reading ${label}`} />;
  }
  return (
    <>
      {failed}
      {children(data)}
    </>
  );
}

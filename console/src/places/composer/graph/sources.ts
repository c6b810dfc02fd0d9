// The events that the console can read: their columns, and no rows.

export type ColumnType = "number" | "text" | "boolean" | "time" | "other";

export interface SourceColumn {
  readonly name: string;
  readonly type: ColumnType;
}

export interface Source {
  readonly id: string;
  readonly name: string;
  readonly columns: readonly SourceColumn[];
  /** The column whose value names the client, and the one with the time; empty where the source names none. */
  readonly client: string;
  readonly time: string;
}

export function columnOf(sources: readonly Source[], name: string): SourceColumn | undefined {
  return sources.flatMap((source) => source.columns).find((column) => column.name === name);
}

/** Every column of every source, each name once. */
export function allColumns(sources: readonly Source[]): readonly SourceColumn[] {
  const seen = new Map<string, SourceColumn>();
  for (const column of sources.flatMap((source) => source.columns)) {
    if (!seen.has(column.name)) {
      seen.set(column.name, column);
    }
  }
  return [...seen.values()];
}

const WORD = /"((?:[^"]|"")+)"|'(?:[^']|'')*'|[A-Za-z_][A-Za-z0-9_]*/g;

/** The columns of the sources that a condition names. Texts in quotes are no columns. */
export function columnsIn(condition: string, sources: readonly Source[]): readonly string[] {
  const known = new Set(allColumns(sources).map((column) => column.name));
  const found = new Set<string>();
  for (const match of condition.matchAll(WORD)) {
    const name = match[1]?.replaceAll('""', '"') ?? match[0];
    if (known.has(name)) {
      found.add(name);
    }
  }
  return [...found];
}

const PLAIN = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** A column as a condition spells it. */
export function quoted(name: string): string {
  return PLAIN.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

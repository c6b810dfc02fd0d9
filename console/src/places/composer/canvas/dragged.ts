// What is dragged from the palette: the kind and type of the new part, as a type of data of our own.

export const DRAGGED = "application/x-covey-part";

export interface Dragged {
  readonly kind: string;
  readonly type: string;
}

export function draggedOf(text: string): Dragged | undefined {
  const [kind, type] = text.split("/", 2);
  return kind === undefined || kind === "" || type === undefined ? undefined : { kind, type };
}

export function textOfDragged({ kind, type }: Dragged): string {
  return `${kind}/${type}`;
}

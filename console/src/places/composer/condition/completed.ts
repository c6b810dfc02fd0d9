// Taking a suggestion into a condition. Places are units of UTF-16, as the browser counts.

import type { Condition } from "./useCondition";

export interface Completed {
  readonly text: string;
  readonly caret: number;
}

/** The text with a suggestion in place of the begun word. The caret is where one goes on: inside quotes, else behind a space. */
export function completed(
  where: string,
  condition: Condition,
  option: Condition["options"][number],
): Completed {
  const before = where.slice(0, condition.replace_first);
  const after = where.slice(condition.replace_last);
  const glue =
    before === "" || /[\s(]$/.test(before) || option.text === "," || option.text === ")" ? "" : " ";
  const isOpen = option.text.endsWith("(") || option.text === "''" || option.text === "'%'";
  const space = isOpen || /^\s/.test(after) ? "" : " ";
  const text = `${before}${glue}${option.text}${space}${after}`;
  const end = before.length + glue.length + option.text.length;
  const isQuoted = option.text === "''" || option.text === "'%'";
  return { text, caret: isQuoted ? end - option.text.length + 1 : end + (isOpen ? 0 : 1) };
}

/** The parts of a text before, in and after the characters that an error is about. */
export function marked(where: string, condition: Condition): readonly [string, string, string] {
  const { first, last } = condition;
  return [where.slice(0, first), where.slice(first, last), where.slice(last)];
}

import { expect, test } from "vitest";
import { duration, matches, type ViewForm } from "./freshness";

test("a duration has its largest unit", () => {
  expect(duration(86_400e6 * 3)).toBe("3 days");
  expect(duration(3_600e6)).toBe("1 hour");
  expect(duration(59e6)).toBe("59 seconds");
  expect(duration(-120e6)).toBe("-2 minutes");
  expect(duration(0)).toBe("0 seconds");
});

test("a search needs each of its words somewhere", () => {
  const view = {
    name: "dest_delay",
    owner: "Ops",
    description: "Arrival delay by destination.",
    tags: { team: "planes" },
    features: [{ name: "late_7d" }],
    entity: [{ name: "dest" }],
  } as unknown as ViewForm;
  expect(
    ["", "delay", "ARRIVAL ops", "team=planes", "late_7d", "dest"].every((one) => matches(view, one)),
  ).toBe(true);
  expect(matches(view, "delay nothing")).toBe(false);
});

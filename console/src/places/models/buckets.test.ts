import { expect, test } from "vitest";
import { bucketText } from "./buckets";

test("a bucket has both of its ends, and the last one has only the lower", () => {
  expect(bucketText({ from_ms: 0, to_ms: 0.1 })).toBe("0 to 0.1");
  expect(bucketText({ from_ms: 1, to_ms: 2.5 })).toBe("1 to 2.5");
  expect(bucketText({ from_ms: 2500, to_ms: null })).toBe("above 2,500");
});

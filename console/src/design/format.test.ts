import { expect, test } from "vitest";
import { counted, epsilon, instant, moment, number, rho } from "./format";

test("a midnight is a date, another time has its minutes", () => {
  expect(moment(1_367_366_400_000_000)).toBe("2013-05-01");
  expect(moment(1_367_416_800_000_000)).toBe("2013-05-01 14:00");
});

test("a time with seconds has them, and an instant its microseconds", () => {
  const at = 1_367_416_805_000_000;
  expect([moment(at), moment(at + 999_999), instant(at)]).toEqual(Array(3).fill("2013-05-01 14:00:05"));
  expect(instant(at + 7)).toBe("2013-05-01 14:00:05.000007");
  expect([instant(-1), instant(0), instant(null)]).toEqual(["1969-12-31 23:59:59.999999", "1970-01-01", "–"]);
});

test("a time without a date is a number", () => {
  expect(moment(9_000_000_000_000_000_000)).toBe("9000000000000000000 µs");
});

test("nothing is a dash, and a micro-ρ is a ρ", () => {
  expect([number(null), number(Number.NaN), rho(50_000)]).toEqual(["–", "–", "0.05"]);
  expect([rho(1), rho(12_345_678)]).toEqual(["0.000001", "12.345678"]);
});

test("a number is rounded to some digits, but not in its whole part", () => {
  expect([0.123456, 12.3456, 123_456.7, 12_345, -98_765.4, 1e9 + 1].map((one) => number(one))).toEqual([
    "0.1235",
    "12.35",
    "123,457",
    "12,345",
    "-98,765",
    "1,000,000,001",
  ]);
  expect([number(1234.5, 2), number(0, 3), number(999.96), number(Number.POSITIVE_INFINITY)]).toEqual([
    "1,235",
    "0",
    "1,000",
    "∞",
  ]);
});

test("a number that is nearly 0 has an exponent, not a row of zeros", () => {
  expect([number(0.00012345), number(0.000012345), number(-1e-300), number(5e-324, 3)]).toEqual([
    "0.0001235",
    "1.234e-5",
    "-1e-300",
    "5e-324",
  ]);
});

test("an ε is rounded up, so that a page never claims less than what is paid", () => {
  expect([2.1401, 0.1, 1.005, 12, 9.999].map(epsilon)).toEqual(["2.15", "0.10", "1.01", "12.00", "10.00"]);
});

test("one thing has no plural", () => {
  expect([counted(0, "key"), counted(1, "pane"), counted(1_234, "value")]).toEqual([
    "0 keys",
    "1 pane",
    "1,234 values",
  ]);
});

"""Load from wrk: a Lua script that sends given requests in turns and prints latencies and errors as JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

PROGRAM: Final = shutil.which("wrk")
NOT_HERE: Final = "wrk is not installed (apt-get install wrk)"

_MIXED: Final = """
local requests, at = {}, 0
init = function()
  for n, one in ipairs(given) do requests[n] = wrk.format("POST", one.path, one.headers, one.body) end
end
request = function()
  at = at % #requests + 1
  return requests[at]
end
done = function(summary, latency)
  local seen = {}
  for i = 1, #latency do
    local us, count = latency(i)
    seen[#seen + 1] = string.format("[%d, %d]", us, count)
  end
  local e = summary.errors
  print(string.format('{"requests": %d, "us": %d, "errors": %d, "latencies": [%s]}', summary.requests,
    summary.duration, e.connect + e.read + e.write + e.timeout + e.status, table.concat(seen, ",")))
end
"""

_BY_STATUS: Final = """
local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long ns; } covey_time; int clock_gettime(int, covey_time *);")
local now, threads, requests, at, sent = ffi.new("covey_time"), {}, {}, 0, 0
admitted, refused, others = {}, {}, 0
local clock = function() ffi.C.clock_gettime(1, now); return tonumber(now.s) * 1e6 + tonumber(now.ns) / 1e3 end
setup = function(thread) threads[#threads + 1] = thread end
init = function()
  math.randomseed(os.time() + tonumber(tostring(requests):match("0x(%x+)"), 16) % 2^31)
  for n, one in ipairs(given) do requests[n] = wrk.format("POST", one.path, one.headers, one.body) end
end
delay = function() return math.random(0, 2 * pause_ms) end
request = function()
  at = at % #requests + 1
  sent = clock()
  return requests[at]
end
response = function(status)
  local us = math.floor(clock() - sent)
  if status == 200 then admitted[#admitted + 1] = us
  elseif status == 429 then refused[#refused + 1] = us
  else others = others + 1 end
end
done = function(summary)
  local all = {{}, {}}
  local lost = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  for _, thread in ipairs(threads) do
    for kind, name in ipairs({"admitted", "refused"}) do
      for _, us in ipairs(thread:get(name)) do table.insert(all[kind], us) end
    end
    lost = lost + thread:get("others")
  end
  print(string.format('{"us": %d, "errors": %d, "admitted": [%s], "refused": [%s]}', summary.duration, lost,
    table.concat(all[1], ","), table.concat(all[2], ",")))
end
"""


@dataclass(frozen=True)
class Request:
    """A POST request."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    def lua(self) -> str:
        """As a Lua table."""
        headers = ", ".join(f'["{name}"] = "{value}"' for name, value in self.headers.items())
        return f'{{path = "{self.path}", headers = {{{headers}}}, body = [==[{self.body.decode()}]==]}}'


@dataclass
class Load:
    """What a server answered to the same load, over all turns.

    Attributes:
        latencies: how many answers took so many µs.
        errors: connections that failed, time-outs, and answers that are not 2xx.
    """

    requests: int = 0
    seconds: float = 0.0
    errors: int = 0
    latencies: Counter[int] = field(default_factory=Counter)

    @property
    def rps(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    def ms(self, percent: float) -> float:
        """The latency that so many percent of the answers did not exceed."""
        left = self.latencies.total() * percent / 100
        for us, count in sorted(self.latencies.items()):
            left -= count
            if left <= 0:
                return us / 1e3
        return float("nan")


def mixed(load: Load, url: str, requests: Sequence[Request], seconds: int, connections: int, scratch: Path) -> None:
    """Send as many requests as the server answers, and add the result to `load`."""
    found = _run(url, requests, _MIXED, ["--connections", str(connections), "--duration", f"{seconds}s"], 1, scratch)
    load.requests += found["requests"]
    load.seconds += found["us"] / 1e6
    load.errors += found["errors"]
    load.latencies.update(dict(found["latencies"]))


@dataclass(frozen=True)
class Overload:
    """What a server answered beyond its limit. Latencies are µs."""

    seconds: float
    errors: int
    admitted: Sequence[int]
    refused: Sequence[int]


def overload(
    url: str, requests: Sequence[Request], a_second: float, seconds: int, connections: int, scratch: Path
) -> Overload:
    """Send about so many requests a second. Each connection is a thread of wrk: one script then sees its answers in order."""
    pause_ms = connections / a_second * 1e3
    options = ["--connections", str(connections), "--duration", f"{seconds}s"]
    found = _run(url, requests, f"pause_ms = {pause_ms:.1f}\n{_BY_STATUS}", options, connections, scratch)
    return Overload(found["us"] / 1e6, found["errors"], found["admitted"], found["refused"])


def _run(
    url: str, requests: Sequence[Request], script: str, options: Sequence[str], threads: int, scratch: Path
) -> Any:
    path = scratch / "requests.lua"
    path.write_text("local given = {\n" + ",\n".join(one.lua() for one in requests) + "\n}\n" + script)
    words = [str(PROGRAM), "--threads", str(threads), *options, "--script", str(path), url]
    said = subprocess.run(words, check=False, capture_output=True, text=True)
    last = said.stdout.strip().rpartition("\n")[2]
    if said.returncode or not last.startswith("{"):
        raise SystemExit(f"wrk: {said.stdout}{said.stderr}")
    return json.loads(last)

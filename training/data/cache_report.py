"""The report about missing values of a join: counts, shares, and one example of each finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from base.times import utc_text
from training.errors import AllNull, TooMuchMissing


@dataclass(frozen=True)
class Finding:
    """The rows of one kind of finding.

    Attributes:
        example: the first row: its number, join keys and time as text; None without rows.
    """

    rows: int
    share: float
    example: str | None


@dataclass(frozen=True)
class ViewFindings:
    """Rows for which a view has no value or no recent value.

    Attributes:
        first_release, newest_release: µs; None if the view has no release.
        unreleased: rows whose time is before the view's first release.
        unknown_key: rows with a key outside the domain, or without a key.
        beyond_ttl: rows at whose time the newest row was older than the view's ttl.
        after_newest: rows whose time is after the newest release. They read it at any age, unless a ttl forbids it.
    """

    view: str
    first_release: int | None
    newest_release: int | None
    unreleased: Finding
    unknown_key: Finding
    beyond_ttl: Finding
    after_newest: Finding


@dataclass(frozen=True)
class FeatureFindings:
    """The nulls of a feature, with their number by status."""

    feature: str
    null: Finding
    statuses: Mapping[str, int]

    @property
    def why(self) -> str:
        """Return the statuses of the nulls, the most frequent first."""
        order = sorted(self.statuses.items(), key=lambda item: -item[1])
        return ", ".join(f"{status} {rows:,}" for status, rows in order)


@dataclass(frozen=True)
class JoinReport:
    """The report of a join; `str` formats it as a few lines.

    Attributes:
        without_time: rows whose time is null, so that all features are null.
    """

    rows: int
    without_time: Finding
    views: tuple[ViewFindings, ...]
    features: tuple[FeatureFindings, ...]

    def require(self, max_missing: float) -> None:
        """Check the feature with the most nulls. Raises AllNull, TooMuchMissing."""
        worst = max(self.features, key=lambda one: one.null.rows)
        if worst.null.rows == self.rows:
            raise AllNull(worst.feature, worst.why)
        if worst.null.share > max_missing:
            raise TooMuchMissing(worst.feature, worst.null.share, max_missing, worst.why)

    def to_dict(self) -> dict[str, Any]:
        """Convert the report to JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> JoinReport:
        """Read the result of `to_dict`. Raises KeyError or TypeError."""
        views = tuple(ViewFindings(**{**view, **_findings(view)}) for view in data["views"])
        features = tuple(FeatureFindings(**{**one, **_findings(one)}) for one in data["features"])
        return cls(int(data["rows"]), Finding(**data["without_time"]), views, features)

    def __str__(self) -> str:
        lines = [f"{self.rows:,} rows"]
        if self.without_time.rows:
            lines.append(f"without a time: {_told(self.without_time)}")
        for view in self.views:
            lines.append(f"{view.view}: released {_moment(view.first_release)} to {_moment(view.newest_release)}")
            kinds = (
                ("before the first release", view.unreleased),
                ("with an unknown key", view.unknown_key),
                ("beyond the ttl", view.beyond_ttl),
                ("after the newest release", view.after_newest),
            )
            lines += [f"  {what}: {_told(finding)}" for what, finding in kinds if finding.rows]
        lines += [
            f"{one.feature}: {'no nulls' if not one.null.rows else f'null {_told(one.null)}: {one.why}'}"
            for one in self.features
        ]
        return "\n".join(lines)


def _findings(data: Mapping[str, Any]) -> dict[str, Finding]:
    return {name: Finding(**value) for name, value in data.items() if isinstance(value, Mapping) and "share" in value}


def _told(finding: Finding) -> str:
    return f"{finding.rows:,} ({finding.share:.1%}), such as {finding.example}"


def _moment(moment_us: int | None) -> str:
    return "never" if moment_us is None else utc_text(moment_us)

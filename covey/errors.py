"""Errors of the console. Each has the HTTP status of its answer."""

from __future__ import annotations

from typing import ClassVar

from base.errors import FAILURE, NOT_FOUND, REFUSED, USAGE, CoveyError
from featurestore.server.roles import Role


class ConsoleError(CoveyError):
    """The root.

    Attributes:
        status: the HTTP status of the answer.
    """

    status: ClassVar[int] = 400
    exit_code = USAGE


class NothingToShow(ConsoleError):
    """A folder that is neither a project nor a store; names it."""

    status = 404
    exit_code = NOT_FOUND

    def __init__(self, folder: str) -> None:
        self.folder = folder
        super().__init__(f"{folder} has neither a covey.toml nor a store")


class SessionMissing(ConsoleError):
    """A request without the cookie of a session that runs."""

    status = 401

    def __init__(self) -> None:
        super().__init__(
            "this page has no session, or its session has ended; open again the URL that `covey console` printed"
        )


class CredentialsRefused(ConsoleError):
    """A token or an API key that the console does not know."""

    status = 401
    exit_code = REFUSED

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"the console does not know this {what}")


class KeyNeeded(ConsoleError):
    """A console with API keys was opened without one."""

    status = 401
    exit_code = REFUSED

    def __init__(self) -> None:
        super().__init__("this console needs an API key of its store")


class TooManyAttempts(ConsoleError):
    """Too many wrong tokens or keys; names how long to wait."""

    status = 429
    exit_code = REFUSED

    def __init__(self, wait_s: int) -> None:
        self.wait_s = wait_s
        super().__init__(f"too many wrong tokens or keys; try again in {wait_s} s")


class TooManyRequests(ConsoleError):
    """A consumer over its limit; names how long to wait."""

    status = 429
    exit_code = REFUSED

    def __init__(self, wait_s: int) -> None:
        self.wait_s = wait_s
        super().__init__(f"over the limit of requests; try again in {wait_s} s")


class TooManySessions(ConsoleError):
    """All sessions are in use by roles that are not smaller."""

    status = 503
    exit_code = REFUSED

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"{most:,} sessions are open, the most that the console allows; restart it to end them")


class PageTokenMissing(ConsoleError):
    """A request that may change something, without the header that only the console's own page can send."""

    status = 403
    exit_code = REFUSED

    def __init__(self, header: str) -> None:
        self.header = header
        super().__init__(f"the header {header} is missing, or is of another session; reload the page")


class RequestFromAnotherSite(ConsoleError):
    """A request to the API that a page of another site has caused, as its browser says."""

    status = 403
    exit_code = REFUSED

    def __init__(self, site: str) -> None:
        self.site = site
        super().__init__(f"a page of another site has sent this request ({site}); use the console's own page")


class RoleTooSmall(ConsoleError):
    """The user's role does not include what was asked for."""

    status = 403
    exit_code = REFUSED

    def __init__(self, has: Role, needs: Role) -> None:
        self.has, self.needs = has, needs
        super().__init__(f"this needs the role {needs.label}; this session has the role {has.label}")


class TooManyStreams(ConsoleError):
    """All streams of live events are in use."""

    status = 503
    exit_code = REFUSED

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"{most:,} pages follow live events, the most that the console allows; close one of them")


class ConsoleBusy(ConsoleError):
    """Too many requests of a user compute or wait; names how long to wait."""

    status = 503
    exit_code = REFUSED

    def __init__(self, wait_s: int) -> None:
        self.wait_s = wait_s
        super().__init__(f"the console computes other answers for this user; try again in {wait_s} s")


class StoreReplaced(ConsoleError):
    """The store that the console has opened was moved, deleted or replaced."""

    status = 503
    exit_code = REFUSED

    def __init__(self, root: str) -> None:
        self.root = root
        super().__init__(
            f"{root} no longer has the store that the console has opened: put that store back, or start the console again"
        )


class NotConfirmed(ConsoleError):
    """A request that spends a budget, or changes what is served, without the user's yes."""

    status = 409
    exit_code = REFUSED

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what} needs a confirmation: send confirmed=true")


class BodyTooLarge(ConsoleError):
    """A request body over the limit; it was not read further."""

    status = 413

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"the body of a request may have at most {most:,} bytes; send less at once")


class CursorInvalid(ConsoleError):
    """A cursor that no page of a list has given."""

    status = 422

    def __init__(self, cursor: str) -> None:
        self.cursor = cursor
        super().__init__(f"{cursor[:80]!r} is no cursor; begin with the first page")


class PageDamaged(ConsoleError):
    """The built page cannot be served; names its archive or folder, and says why."""

    status = 503
    exit_code = FAILURE

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"the page of the console, {path}, is damaged: {why}")


class PageNotFound(ConsoleError):
    """A path of the console that does not exist."""

    status = 404
    exit_code = NOT_FOUND

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"the console has no {path[:200]!r}")


def require_confirmed(confirmed: bool, what: str) -> None:
    """Return if the user has confirmed. Raises NotConfirmed.

    Args:
        what: what is about to happen, as the subject of a sentence.
    """
    if not confirmed:
        raise NotConfirmed(what)


class NoViewsFile(ConsoleError):
    """A console without a views file has nothing to save into."""

    status = 409

    def __init__(self) -> None:
        super().__init__("this console was started without a views file")


class ViewsFileChanged(ConsoleError):
    """The views file is no longer the one that the page has read; nothing was written."""

    status = 409
    exit_code = REFUSED

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"{path} was changed by somebody else since this page read it; nothing was written")


class ViewsFileUnusable(ConsoleError):
    """A views file that the composer neither reads nor writes; names it and says why."""

    status = 422

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path} cannot be used: {why}")


class TextTooDemanding(ConsoleError):
    """A text that ended the process that reads texts, or would take more memory than that process may have; says which."""

    status = 422

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"this text is not read: {why}; write its views into several smaller files")


class NoEvents(ConsoleError):
    """A console without events can compose views, but not collect them."""

    status = 409

    def __init__(self) -> None:
        super().__init__("this console was started without events, so it cannot collect")


class ViewsNotKnown(ConsoleError):
    """Views that cannot be collected, because their text is not evaluated.

    Attributes:
        missing: names that the text has no known view for; why: what is not evaluated.
    """

    status = 422

    def __init__(self, missing: list[str], why: list[str]) -> None:
        self.missing, self.why = missing, why
        what = f"the text defines no view {', '.join(missing)}" if missing else "some of the text is not evaluated"
        super().__init__("; ".join([what, *why[:5]]))


class RunUnderWay(ConsoleError):
    """A console has one run at a time.

    Attributes:
        run: the id of the run; views: what it collects.
    """

    status = 409
    exit_code = REFUSED

    def __init__(self, run: str, views: tuple[str, ...]) -> None:
        self.run, self.views = run, views
        super().__init__(f"a run of {', '.join(views)} is under way; wait for it to end, or cancel it")


class UnknownRun(ConsoleError):
    """A run that this console has not started, or has forgotten."""

    status = 404
    exit_code = NOT_FOUND

    def __init__(self, run: str) -> None:
        self.run = run
        super().__init__(f"this console has started no run {run[:80]!r}")

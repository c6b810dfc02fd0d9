"""The ground floor: what crypto, featurestore and federation share."""

"""Publication of releases: admission, the offline and online stores, and the check and repair of a store."""

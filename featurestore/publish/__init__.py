"""Publishing a release: admission, offline, online, and the check and repair of a store."""
